//! How releases are fetched: what is believed, where they are looked for by their names, and what they get besides.

use std::path::Path;

use ov_release::fetch::{Catalog, Limits, Patience, Policy, Silence};
use ov_types::ReleaseName;

use crate::secret::Secret;

/// How releases are fetched from where plans and people say they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchShape {
    /// Whether what plans say of where their release is, is followed. Without it only what people name is fetched.
    pub by_plan: bool,
    /// What is believed.
    pub policy: Policy,
    /// Folders of somebody who keeps copies, asked in this order when the address itself does not serve.
    pub mirrors: Vec<String>,
    /// What is accepted.
    pub limits: Limits,
    /// How long is tried.
    pub patience: Patience,
    /// How long a server may be silent.
    pub silence: Silence,
    /// Where a release is looked for by its name that nobody says the address of.
    pub catalog: Option<CatalogShape>,
    /// What a release gets when it is staged, if it does not bring it.
    pub additions: Vec<Addition>,
}

/// Where releases are looked for by their names, and what is found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogShape {
    /// The place.
    pub place: Catalog,
    /// As whom it is asked. A variable that is not set is nobody.
    pub token: Option<Secret>,
    /// What the program is called in an archive, if that is not where it lies in the release.
    pub inside: Option<String>,
    /// Where the program lies in a release that is found there, if that is not where it lies in the current one.
    pub program: Option<String>,
}

/// A file that a release gets when it is staged, if it does not bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Its path in the release.
    pub path: String,
    /// What it holds.
    pub text: Vec<AdditionText>,
    /// Its permission bits.
    pub mode: u32,
}

/// A part of the text of such a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdditionText {
    /// This.
    Text(String),
    /// The name of the release.
    ReleaseName,
    /// The folder of the release.
    ReleaseFolder,
}

impl Addition {
    /// The file as this release gets it.
    pub fn fill(&self, name: &ReleaseName, folder: &Path) -> ov_release::Addition {
        let text = |part: &AdditionText| match part {
            AdditionText::Text(text) => text.clone(),
            AdditionText::ReleaseName => name.to_string(),
            AdditionText::ReleaseFolder => folder.to_string_lossy().into_owned(),
        };
        let contents = self.text.iter().map(text).collect::<String>().into_bytes();
        ov_release::Addition { path: self.path.clone(), contents, mode: self.mode }
    }
}

impl Default for FetchShape {
    fn default() -> Self {
        // Few tries in a row: whoever waits is told why, and goes on with what came.
        let patience = Patience { tries: 4, ..Patience::default() };
        let (policy, limits, silence) = (Policy::default(), Limits::default(), Silence::default());
        let (mirrors, additions) = (Vec::new(), Vec::new());
        Self { by_plan: false, policy, mirrors, limits, patience, silence, catalog: None, additions }
    }
}
