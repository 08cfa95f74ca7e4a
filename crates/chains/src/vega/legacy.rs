//! What older releases of the original called the file that they fetch: shapes that newer ones pass over in silence, so
//! that an upgrade fails with the node already down.
//!
//! | written for | shape |
//! |---|---|
//! | v0.54 to v0.67 | `[autoInstall.assets]` with `vega` and `data_node`, each a file |
//! | v0.68 to v0.70 | `[autoInstall.assets.vega]` and `.data_node`, each with `assset_name` and `binary_name` |
//! | never, but in its guide | those keys below `[autoInstall.assets]` itself, or below `[autoInstall.asset]` |

use toml::Value;

use super::fields::{Fields, Remarks};
use super::flavour::Flavour;

/// The section of old.
pub(super) const SECTION: &str = "assets";
/// Its keys, the first misspelt by the original itself.
pub(super) const KEYS: [&str; 3] = ["assset_name", "asset_name", "binary_name"];

const DATA_NODE: &str = "data_node";

/// The file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldAsset {
    pub(super) name: String,
    pub(super) program: Option<String>,
}

/// Looks for a shape of old, and says so. `is_named` tells that the shape of today is there too, and counts.
pub(super) fn asset(
    section: &Fields<'_>,
    asset: Option<&Fields<'_>>,
    flavour: &Flavour,
    is_named: bool,
    remarks: &mut Remarks,
) -> Option<OldAsset> {
    let below_asset = asset.and_then(|asset| keys(asset, remarks));
    let old = section.entry(SECTION).and_then(|_| section.table(SECTION, remarks));
    let in_section = old.as_ref().and_then(|old| of_section(old, flavour, remarks));
    let place = match (&below_asset, &old) {
        (Some(_), _) => section.path("asset"),
        (None, Some(_)) => section.path(SECTION),
        (None, None) => return None,
    };
    let found = below_asset.or(in_section);
    remarks.warnings.push(match &found {
        _ if is_named => format!("{place} is of an older release, and means nothing beside autoInstall.asset.name"),
        None => format!("{place} is of an older release, and names no file of {}", flavour.name),
        Some(found) => {
            let program = found.program.as_ref().map(|it| format!("\n  binaryName = {it:?}")).unwrap_or_default();
            format!(
                "{place} is of an older release, and is understood as\n  [autoInstall.asset]\n  name = {:?}{program}\n\
                 write that instead: what else reads this file passes it over",
                found.name
            )
        }
    });
    found.filter(|_| !is_named)
}

fn of_section(old: &Fields<'_>, flavour: &Flavour, remarks: &mut Remarks) -> Option<OldAsset> {
    if old.entry(DATA_NODE).is_some() {
        let why = format!("{} means nothing: the data node is part of the same program now", old.path(DATA_NODE));
        remarks.warnings.push(why);
    }
    match old.entry(flavour.name).map(|(_, value)| value) {
        Some(Value::String(name)) => Some(OldAsset { name: name.clone(), program: None }),
        Some(_) => old.table(flavour.name, remarks).and_then(|own| keys(&own, remarks)),
        None => keys(old, remarks),
    }
}

fn keys(fields: &Fields<'_>, remarks: &mut Remarks) -> Option<OldAsset> {
    let name = KEYS[..2].iter().find_map(|key| fields.text(key, remarks))?;
    Some(OldAsset { name, program: fields.text(KEYS[2], remarks) })
}
