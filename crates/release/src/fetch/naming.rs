//! How something is called for each release: a text in which the release and the platform may stand.

use std::fmt;

use ov_types::ReleaseName;

use super::plan_info::own_platform;

/// How something is called for each release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The release, letter for letter.
    Release,
    /// The release without a leading `v`.
    Version,
}

/// Why a text does not say how something is called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown placeholder `{{{0}}}`; here `{{release}}`, `{{version}}`, `{{os}}` and `{{arch}}` can be used")]
pub struct UnknownPlaceholder(pub String);

impl Naming {
    /// Called the same for every release, braces included.
    pub fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// Called as the release is.
    pub fn release() -> Self {
        Self(vec![Part::Release])
    }

    /// Reads a text with placeholders. The platform is that of this program, in Go's words.
    pub fn parse(text: &str) -> Result<Self, UnknownPlaceholder> {
        let platform = own_platform();
        let (system, architecture) = platform.split_once('/').unwrap_or((&platform, ""));
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, (word, after))) =
            rest.split_once('{').and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
        {
            parts.push(Part::Text(before.to_owned()));
            parts.push(match word {
                "release" => Part::Release,
                "version" => Part::Version,
                "os" => Part::Text(system.to_owned()),
                "arch" => Part::Text(architecture.to_owned()),
                _ => return Err(UnknownPlaceholder(word.to_owned())),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// What it is called for this release.
    pub fn of(&self, release: &ReleaseName) -> String {
        let name = release.as_str();
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Release => name.to_owned(),
            Part::Version => name.strip_prefix('v').unwrap_or(name).to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Release => f.write_str("{release}"),
            Part::Version => f.write_str("{version}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn called(text: &str, release: &str) -> String {
        Naming::parse(text).unwrap().of(&ReleaseName::new(release).unwrap())
    }

    #[test]
    fn releases_and_platforms_stand_where_they_are_named() {
        let platform = own_platform().replace('/', "-");
        assert_eq!(called("node-{os}-{arch}.zip", "v2"), format!("node-{platform}.zip"));
        assert_eq!(called("node_{version}_{release}", "v0.74.0+build"), "node_0.74.0+build_v0.74.0+build");
        assert_eq!(called("{version}{version}", "2.1"), "2.12.1");
        assert_eq!(called("node", "v2"), "node");
        assert_eq!(called("node-{", "v2"), "node-{");
        assert_eq!(Naming::literal("{x}").of(&ReleaseName::new("v2").unwrap()), "{x}");
        let unknown = Naming::parse("{relaese}").unwrap_err().to_string();
        assert!(unknown.starts_with("unknown placeholder `{relaese}`; here `{release}`, "), "{unknown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[{}a-z ä]{0,40}") {
            let _ = Naming::parse(&text);
        }

        #[test]
        fn a_text_without_braces_means_itself(text in "[^{]{0,40}") {
            prop_assert_eq!(called(&text, "v2"), text);
        }
    }
}
