//! What a plan says about where its release is: `{"binaries": {"os/arch": address, …, "any": address}}`, or the
//! address of such a text.
//!
//! The texts of errors are those that scripts look for. Nothing is fetched here.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::address::{Address, InvalidAddress};

/// The longest text that a reference may lead to.
pub(super) const LEN_MAX: u64 = 1 << 20;

/// Addresses of a release, by platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlanInfo {
    #[serde(default)]
    binaries: BTreeMap<String, String>,
}

/// What the text in a plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The addresses themselves.
    Here(PlanInfo),
    /// The address of the text.
    At(Address),
}

/// Why a plan's text does not say where its release is.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPlanInfo {
    /// Nothing is in it.
    #[error("plan info must not be blank")]
    Blank,
    /// It is not the JSON we expect.
    #[error("could not parse plan info")]
    Json(#[from] serde_json::Error),
    /// The address of the text must carry a checksum, and does not.
    #[error("missing checksum query parameter")]
    NoChecksum,
    /// It leads to nothing.
    #[error("no content returned by \"{0}\"")]
    NoContent(String),
    /// Nothing is there for this machine.
    #[error("cannot find binary for os/arch: neither {0}, nor any")]
    Platform(String),
    /// What is there is not an address.
    #[error("read the address of the release")]
    Address(#[from] InvalidAddress),
}

impl PlanInfo {
    /// Reads the text in a plan; total over all texts.
    pub fn read(text: &str, must_have_checksum: bool) -> Result<Written, InvalidPlanInfo> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidPlanInfo::Blank);
        }
        if !is_reference(text) {
            return Self::parse(text).map(Written::Here);
        }
        let address = Address::parse(text)?;
        if must_have_checksum && address.checksum().is_none() {
            return Err(InvalidPlanInfo::NoChecksum);
        }
        Ok(Written::At(address))
    }

    /// Reads the addresses themselves. A reference that leads to a reference is refused here.
    pub fn parse(text: &str) -> Result<Self, InvalidPlanInfo> {
        Ok(serde_json::from_str(text)?)
    }

    /// What is written for a platform, such as `linux/amd64`, or else for any.
    pub fn text_for(&self, platform: &str) -> Result<&str, InvalidPlanInfo> {
        let found = self.binaries.get(platform).or_else(|| self.binaries.get("any"));
        found.map(String::as_str).ok_or_else(|| InvalidPlanInfo::Platform(platform.to_owned()))
    }

    /// The same as an address.
    pub fn address_for(&self, platform: &str) -> Result<Address, InvalidPlanInfo> {
        Ok(Address::parse(self.text_for(platform)?)?)
    }
}

/// The platform of this program, in Go's words.
pub fn own_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("{system}/{architecture}")
}

/// Go takes for a request URI whatever begins with a scheme or with `/`.
fn is_reference(text: &str) -> bool {
    let scheme = |text: &str| {
        let mut letters = text.bytes();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || b"+-.".contains(&letter))
    };
    text.starts_with('/') || text.split_once(':').is_some_and(|(before, _)| scheme(before))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;

    use super::*;

    const BOTH: &str = r#"{"binaries":{"linux/amd64":"https://a.example/node","any":"/srv/node.zip"},"more":1}"#;

    fn why(text: &str, must_have_checksum: bool) -> String {
        PlanInfo::read(text, must_have_checksum).unwrap_err().to_string()
    }

    fn here(text: &str) -> PlanInfo {
        match PlanInfo::read(text, true).unwrap() {
            Written::Here(info) => info,
            Written::At(address) => panic!("{address} is a reference"),
        }
    }

    #[test]
    fn the_own_platform_comes_before_any() {
        let info = here(&format!("\n  {BOTH} "));
        assert_eq!(info.address_for("linux/amd64").unwrap().to_string(), "https://a.example/node");
        assert_eq!(info.address_for("darwin/arm64").unwrap().to_string(), "/srv/node.zip");
        let none = here(r#"{"binaries":{"linux/amd64":"https://a.example/node"}}"#);
        let error = none.address_for("linux/arm64").unwrap_err().to_string();
        assert_eq!(error, "cannot find binary for os/arch: neither linux/arm64, nor any");
        assert!(here("{}").address_for("linux/amd64").is_err());
    }

    #[test]
    fn the_texts_of_refusals_are_those_that_scripts_look_for() {
        assert_eq!(why(" \n", false), "plan info must not be blank");
        assert_eq!(why("upgrade now", false), "could not parse plan info");
        assert_eq!(why("https://a.example/info.json", true), "missing checksum query parameter");
        let error = PlanInfo::read("{\"binaries\":[]}", false).unwrap_err();
        assert!(error.source().is_some());
    }

    #[test]
    fn what_begins_with_a_scheme_or_a_slash_is_a_reference() {
        for text in ["https://a.example/info.json", "/srv/info.json", "s3::https://s3.amazonaws.com/b/info.json"] {
            assert!(matches!(PlanInfo::read(text, false), Ok(Written::At(_))), "{text}");
        }
        let with = format!("https://a.example/info.json?checksum=md5:{}", "0".repeat(32));
        assert!(matches!(PlanInfo::read(&with, true), Ok(Written::At(_))));
        assert!(matches!(PlanInfo::read("git::https://a.example/info", false), Err(InvalidPlanInfo::Address(_))));
    }

    #[test]
    fn a_reference_leads_to_addresses_and_not_to_another_reference() {
        assert!(PlanInfo::parse("https://a.example/info.json").is_err());
    }

    #[test]
    fn the_platform_is_told_as_go_tells_it() {
        let platform = own_platform();
        assert!(["linux/amd64", "linux/arm64"].contains(&platform.as_str()), "{platform}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), must in any::<bool>()) {
            if let Ok(Written::Here(info)) = PlanInfo::read(&text, must) {
                let _ = info.address_for("linux/amd64");
            }
        }
    }
}
