//! The files that `init` writes, byte for byte as the original does.

use std::fmt::Write as _;

use super::flavour::Flavour;
use super::run_config::{example, quoted};
use super::settings::{NUMBERS, written};

/// The folder of the first release.
pub const GENESIS: &str = "genesis";
/// The folder that stands for one of an upgrade.
pub const EXAMPLE_RELEASE: &str = "vX.X.X";

/// `config.toml`.
pub fn config_text(flavour: &Flavour) -> String {
    let mut text = String::new();
    for row in NUMBERS.iter().filter(|row| (row.is_written)(flavour)) {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{} = {}", row.key, (row.default)(flavour));
    }
    let auto_install = written(flavour);
    let _ = write!(
        text,
        "\n[upgradeFolders]\n  {example} = {example}\n\n[autoInstall]\n  enabled = {}\n  repositoryOwner = {}\n  \
         repository = {}\n  [autoInstall.asset]\n    name = {}\n    binaryName = {}\n",
        auto_install.enabled,
        quoted(&auto_install.owner),
        quoted(&auto_install.repository),
        quoted(&auto_install.asset),
        quoted(auto_install.program()),
        example = quoted(EXAMPLE_RELEASE),
    );
    text
}

/// The `run-config.toml` of each folder, in the order in which they are made.
pub fn run_config_texts(flavour: &'static Flavour, has_data_node: bool) -> [(&'static str, String); 2] {
    [GENESIS, EXAMPLE_RELEASE].map(|name| (name, example(flavour, name, has_data_node).to_text()))
}
