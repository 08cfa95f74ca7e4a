//! The family's members: programs that differ in nothing but their name and in what follows from it.

/// What tells one member from the others.
#[derive(Debug, PartialEq, Eq)]
pub struct Flavour {
    /// Its name: the table of the core in `run-config.toml`, the program, how assets begin.
    pub name: &'static str,
    /// The name as people write it.
    pub title: &'static str,
    /// The field of the core's answer that holds the tag of the next release.
    pub tag_field: &'static str,
    /// Who publishes its releases.
    pub owner: &'static str,
    /// Where they are published.
    pub repository: &'static str,
    /// How often a core that was never reached is asked, unless the operator says otherwise.
    pub first_connection_retries: u64,
    /// Whether its `init` writes the limit for restarts.
    pub writes_restart_connection_retries: bool,
}

impl Flavour {
    /// The file of a release for this machine, as it is published.
    pub fn asset(&self) -> String {
        let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        format!("{}-{system}-{machine}.zip", self.name)
    }
}

/// All members. The first is meant where nothing tells.
pub static FLAVOURS: [Flavour; 3] = [
    Flavour {
        name: "vega",
        title: "Vega",
        tag_field: "VegaReleaseTag",
        owner: "vegaprotocol",
        repository: "vega",
        first_connection_retries: 175_000,
        writes_restart_connection_retries: true,
    },
    Flavour {
        name: "zeta",
        title: "Zeta",
        tag_field: "ZetaReleaseTag",
        owner: "zetaprotocol",
        repository: "zeta",
        first_connection_retries: 10,
        writes_restart_connection_retries: false,
    },
    Flavour {
        name: "fury",
        title: "Fury",
        tag_field: "FuryReleaseTag",
        owner: "elysiumstation",
        repository: "fury",
        first_connection_retries: 10,
        writes_restart_connection_retries: false,
    },
];

/// The member of this name.
pub fn flavour(name: &str) -> Option<&'static Flavour> {
    FLAVOURS.iter().find(|flavour| flavour.name == name)
}
