//! Which version a release is.

use ov_chains::shape::{Expect, VersionProbe};
use ov_types::ReleaseName;
use serde_json::Value;

use super::{ProbeAnswer, Scene, program, value};

/// Asks a release's program for its version. `scene.release` is the directory of that release.
pub async fn version(probe: &VersionProbe, release: &ReleaseName, scene: &Scene) -> ProbeAnswer {
    ask(probe, release, scene).await.into()
}

async fn ask(probe: &VersionProbe, release: &ReleaseName, scene: &Scene) -> Result<String, String> {
    let printed = program::printed(scene, &probe.program, &probe.args).await?;
    let says = match &probe.pointer {
        None => String::from_utf8_lossy(&printed).into_owned(),
        Some(pointer) => match ov_chains::value_within(&String::from_utf8_lossy(&printed), pointer) {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => return Err(format!("its answer has nothing at `{pointer}`")),
        },
    };
    let text = match &probe.expect {
        Expect::Texts(texts) => texts.get(release),
        Expect::ReleaseName => None,
    };
    let (good, expected) = match text {
        Some(text) => (says.contains(text.as_str()), text.as_str()),
        None => (names_version(&says, release.as_str()), release.as_str()),
    };
    let program = probe.program.fill(&scene.release);
    let says = value::clean(&says);
    if good {
        Ok(format!("{program} says `{says}`"))
    } else {
        Err(format!("{program} says `{says}`, expected `{expected}`"))
    }
}

/// Whether a version is named in a text: as a whole, so that neither `1.2.30` nor `1.2.3-rc1` names `1.2.3`. Both may
/// begin with a `v`; build metadata after a `+` makes no other version.
fn names_version(text: &str, version: &str) -> bool {
    let bare = version.strip_prefix('v').unwrap_or(version);
    text.match_indices(bare).any(|(start, _)| {
        let before = text[..start].strip_suffix(['v', 'V']).unwrap_or(&text[..start]);
        let mut after = text[start + bare.len()..].chars();
        let goes_on = match after.next() {
            Some('.' | '-') => after.next().is_some_and(char::is_alphanumeric),
            next => next.is_some_and(char::is_alphanumeric),
        };
        let began_before = before.ends_with(|c: char| c.is_alphanumeric() || c == '.');
        !began_before && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_version_is_recognised_as_a_whole() {
        for (text, version, named) in [
            ("v1.2.3\n", "v1.2.3", true),
            ("1.2.3", "v1.2.3", true),
            ("gaiad version V1.2.3 (linux).", "1.2.3", true),
            ("version=1.2.3+build.7", "v1.2.3", true),
            ("It is 1.2.3.", "v1.2.3", true),
            ("1.2.30", "v1.2.3", false),
            ("11.2.3", "v1.2.3", false),
            ("1.2.3.4", "v1.2.3", false),
            ("0.1.2.3", "v1.2.3", false),
            ("v1.2.3-rc1", "v1.2.3", false),
            ("v1.2.3-rc1", "v1.2.3-rc1", true),
            ("1.2.3-rc1 then 1.2.3", "v1.2.3", true),
            ("vega", "vega", true),
            ("", "v1", false),
        ] {
            assert_eq!(names_version(text, version), named, "{text:?} {version}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_looking_panic(text in ".{0,40}", version in "[v.0-9a]{1,5}") {
            let _ = names_version(&text, &version);
        }
    }
}
