//! Releases brought from an address: what a person named, or what the plan itself says of where its release is.
//!
//! The library in `ov_release::fetch` does the work; here is what it works with in a daemon, and what an operator is
//! told when it fails. Bringing takes its time and touches nothing that others use; only putting in place takes its
//! turn with whoever else stages. Owns no state: what came lies beside the releases, and the next try goes on with it.

use std::fmt;
use std::sync::Arc;

use ov_chains::shape::{CatalogShape, FetchShape};
use ov_chains::{Secret, SecretError};
use ov_release::fetch::{
    Address, CatalogError, Checksum, Credentials, DownloadError, Fetch, FetchError, FetchRequest, Found, HttpTransport,
    InvalidAddress, InvalidPlanInfo, Phase, PlanInfo, Progress, Transport, World, own_platform, read_plan_info,
};
use ov_release::{Digest, Staged, State};
use ov_sys::{Disk, Random};
use ov_types::api::NewPlan;
use ov_types::{ByteSize, EventKind, Problem, ReleaseName, Work};

use crate::steps::{Workshop, of_release};

/// What fetching works with, besides the disk and the clock.
#[derive(Debug, Clone)]
pub struct Supply {
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// What opens object stores.
    pub credentials: Arc<Credentials>,
    /// Who hears of it.
    pub tell: Tell,
}

impl Supply {
    /// The real network, by the rules of a node, with credentials by the variables that the stores' own tools read.
    pub fn of(rules: &FetchShape) -> Self {
        let credentials = Credentials::from_variables(|name| std::env::var(name).ok());
        let transport = Arc::new(HttpTransport::new(rules.silence));
        Self { transport, credentials: Arc::new(credentials), tell: Tell::default() }
    }
}

/// Hears of what happens while something is fetched. Nobody, unless told otherwise.
#[derive(Clone)]
pub struct Tell(Arc<dyn Fn(EventKind) + Send + Sync>);

impl Tell {
    /// Somebody who listens.
    pub fn to(listener: impl Fn(EventKind) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(crate) fn tell(&self, kind: EventKind) {
        (self.0)(kind);
    }
}

impl Default for Tell {
    fn default() -> Self {
        Self::to(|_| {})
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

/// A release that is wanted from somewhere.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a ReleaseName,
    pub(crate) from: Whence,
    pub(crate) sha256: Option<Digest>,
    /// Where it came from, in words that go into the provenance.
    pub(crate) origin: Option<String>,
}

/// Where a release is.
#[derive(Debug)]
pub(crate) enum Whence {
    /// Where somebody said.
    Address(Address),
    /// Where it was found by its name.
    Catalog(Box<Found>),
}

impl Whence {
    fn address(&self) -> &Address {
        match self {
            Whence::Address(address) => address,
            Whence::Catalog(found) => &found.address,
        }
    }
}

/// Whether what a person gave as a source is an address, and not a path of this machine.
pub fn is_address(source: &str) -> bool {
    source.contains("://") || source.contains("::")
}

/// A source that is an address.
pub(crate) fn address_of(name: &ReleaseName, source: &str) -> Result<Address, Problem> {
    Address::parse(source).map_err(|error| of_fetch(name, &format!("fetch release {name}"), &error.into()))
}

/// Refuses an address that cannot be the source of a plan: plans are written down and shown.
pub(crate) fn check_source(rules: &FetchShape, name: &ReleaseName, plan: &NewPlan) -> Result<(), Problem> {
    let Some(source) = plan.source.as_ref().filter(|source| is_address(source)) else { return Ok(()) };
    let address = address_of(name, source)?;
    if let Some(secret) = address.secret() {
        let problem = Problem::permanent("OV-FET-008", format!("plan to fetch release {name}"));
        return Err(problem
            .cause(format!("{address} comes with {secret}, and plans are written down and shown"))
            .hint(format!(
                "fetch it now with `omnivisor upgrade prepare {name} --from …`, which keeps no secret, and plan it \
                 without a source; keys of object stores come by the daemon's environment"
            )));
    }
    let is_proven = address.checksum().is_some() || (plan.sha256.is_some() && address.kind().is_none());
    if rules.policy.must_have_checksum && !is_proven {
        let missing = FetchError::NoChecksum(address.to_string());
        return Err(of_fetch(name, &format!("plan to fetch release {name}"), &missing));
    }
    Ok(())
}

/// What came of staging a release, as a sentence.
pub fn told(staged: &Staged) -> String {
    let Staged { provenance, changed, .. } = staged;
    let how = if *changed { "is staged" } else { "was staged already" };
    let size = ByteSize(provenance.size).rounded();
    let from = provenance.fetched.as_ref().map_or_else(String::new, |fetched| {
        let proof = fetched.checksum.as_ref().map_or_else(
            || format!("no checksum was given; what came is sha256:{}", fetched.sha256),
            |checksum| format!("it is {checksum}"),
        );
        format!(", from {}; {proof}", fetched.address)
    });
    format!("release {} {how}: {size}{from}", provenance.name)
}

/// What a plan says of where the release for this machine is. Follows a reference.
pub(crate) fn source_in(shop: &Workshop, name: &ReleaseName, info: &str) -> Result<String, Problem> {
    let rules = &shop.shape.fetch;
    let mut unheard = |_: Progress| {};
    let world = world(shop, &shop.supply.credentials, &mut unheard);
    let read = read_plan_info(world, info, rules.policy.must_have_checksum, rules.patience);
    let source = read.and_then(|info: PlanInfo| Ok(info.text_for(&own_platform())?.to_owned()));
    source.map_err(|error| of_fetch(name, &format!("fetch release {name}"), &error))
}

/// Looks for a release by its name, where there is a place to look.
pub(crate) fn find(shop: &Workshop, name: &ReleaseName) -> Result<Option<Found>, Problem> {
    let Some(catalog) = &shop.shape.fetch.catalog else { return Ok(None) };
    let summary = format!("find release {name}");
    let credentials =
        of_catalog(&*shop.disk, &shop.supply.credentials, catalog).map_err(|error| no_token(&summary, &error))?;
    let mut unheard = |_: Progress| {};
    let found = catalog.place.find(world(shop, &credentials, &mut unheard), name, shop.shape.fetch.patience);
    found.map(Some).map_err(|error| until_then(shop, &error, of_fetch(name, &summary, &error)))
}

/// What opens the catalog, beside what opens all else. A variable that is not set opens nothing.
pub(crate) fn of_catalog(
    disk: &dyn Disk,
    others: &Credentials,
    catalog: &CatalogShape,
) -> Result<Credentials, SecretError> {
    let token = match &catalog.token {
        None => None,
        Some(secret) => match secret.read(disk, |name| std::env::var(name).ok()) {
            Ok(token) => Some(token),
            Err(_) if matches!(secret, Secret::Variable(_)) => None,
            Err(error) => return Err(error),
        },
    };
    Ok(others.clone().with_github_token(token))
}

fn no_token(summary: &str, error: &SecretError) -> Problem {
    Problem::permanent("OV-FET-012", summary).because(error).hint("write the file, or take it out of the configuration")
}

/// A server that answers no more questions said until when.
fn until_then(shop: &Workshop, error: &FetchError, problem: Problem) -> Problem {
    let lasts_ms =
        error.until_ms().map(|until_ms| until_ms.saturating_sub(shop.clock.now().wall_ms).max(0).unsigned_abs());
    Problem { lasts_ms, ..problem }
}

/// Fetches a release and puts it into its place. One at a time; fetching what is there already does nothing.
pub(crate) fn fetch(shop: &Workshop, wanted: Wanted<'_>) -> Result<Staged, Problem> {
    let name = wanted.name;
    let summary = format!("fetch release {name}");
    let Some(_alone) = shop.standing.alone_with_release(name) else {
        return Err(Problem::transient("OV-FET-007", summary)
            .cause("it is being fetched already")
            .hint("wait for that, and look with `omnivisor watch`; what comes is kept"));
    };
    let failed = |error: FetchError| until_then(shop, &error, of_fetch(name, &summary, &error));
    let layout = shop.layout();
    let address = wanted.from.address().to_string();
    let credentials = match (&wanted.from, &shop.shape.fetch.catalog) {
        (Whence::Catalog(_), Some(catalog)) => {
            of_catalog(&*shop.disk, &shop.supply.credentials, catalog).map_err(|error| no_token(&summary, &error))?
        }
        _ => Credentials::clone(&shop.supply.credentials),
    };
    let request = request(shop, wanted)?;
    let of = format!("release {name}");
    let mut progress = |progress: Progress| {
        let work = match progress.phase {
            Phase::Downloading => Work::Download,
            Phase::Unpacking => Work::Unpack,
        };
        let Progress { done, total, rate, .. } = progress;
        shop.supply.tell.tell(EventKind::Progress { work, of: of.clone(), done, total, rate });
    };
    let mut fetch = Fetch::new(world(shop, &credentials, &mut progress), &layout, &request).map_err(failed)?;
    let state = ov_release::state(&*shop.disk, &layout, name).map_err(|error| of_release(&summary, &error))?;
    if !matches!(state, State::Complete(_)) {
        shop.supply.tell.tell(EventKind::FetchStarted { release: name.clone(), address });
    }
    let brought = fetch.bring().map_err(failed)?;
    let staged = shop.standing.alone_with_releases(|| fetch.put(brought)).map_err(failed)?;
    tell_set_aside(&staged);
    if let Some(fetched) = staged.provenance.fetched.as_ref().filter(|_| staged.changed) {
        shop.supply.tell.tell(EventKind::FetchDone {
            release: name.clone(),
            address: fetched.address.clone(),
            bytes: fetched.size,
            checksum: fetched.checksum.clone(),
            signer: fetched.signer.clone(),
        });
    }
    Ok(staged)
}

/// What people began to put into the place of a release is not lost, and they are told where it is.
pub(crate) fn tell_set_aside(staged: &Staged) {
    if let Some(aside) = &staged.set_aside {
        tracing::warn!(
            "what lay in the place of release {} was none, and is {} now",
            staged.provenance.name,
            aside.display()
        );
    }
}

fn request(shop: &Workshop, wanted: Wanted<'_>) -> Result<FetchRequest, Problem> {
    let Wanted { name, from, sha256, origin } = wanted;
    let rules = &shop.shape.fetch;
    let summary = || format!("fetch release {name}");
    let catalog = rules.catalog.as_ref().filter(|_| matches!(from, Whence::Catalog(_)));
    let program = catalog.and_then(|catalog| catalog.program.clone()).or_else(|| shop.program_in_release());
    let program = program.ok_or_else(|| {
        Problem::permanent("OV-FET-001", summary())
            .cause("main is not launched from a release, so which program would be in one is not known")
            .hint("have `main` launched through `{release}` or `current`")
    })?;
    let (address, listed) = match from {
        Whence::Address(address) => (address, None),
        Whence::Catalog(found) => (found.address, found.checksum),
    };
    let mirrored = rules.mirrors.iter().map(|base| address.on_mirror(base));
    let mirrored: Result<Vec<Address>, InvalidAddress> = mirrored.collect();
    let mirrored = mirrored.map_err(|error| of_fetch(name, &summary(), &error.into()))?;
    // What comes as it is, is the program: its digest is known before anybody looks into it.
    let checksum = listed.or_else(|| sha256.filter(|_| address.is_plain_file()).map(Checksum::sha256));
    Ok(FetchRequest {
        name: name.clone(),
        program,
        inside: catalog.and_then(|catalog| catalog.inside.clone()),
        addresses: std::iter::once(address).chain(mirrored).collect(),
        checksum,
        sha256,
        policy: rules.policy.clone(),
        limits: rules.limits,
        patience: rules.patience,
        origin,
        additions: shop.additions(name),
    })
}

fn world<'a>(shop: &'a Workshop, credentials: &'a Credentials, progress: &'a mut dyn FnMut(Progress)) -> World<'a> {
    let now = shop.clock.now();
    World {
        disk: &*shop.disk,
        clock: &*shop.clock,
        transport: &*shop.supply.transport,
        credentials,
        cancel: &shop.abandoned,
        random: Random::new(shop.shape.engine.seed ^ now.monotonic_ms),
        progress,
    }
}

const FORMS: &str =
    "give http(s)://…, file:///…, s3::https://… or gcs::https://…, with `?checksum=sha256:…` behind it if it is known";

/// An error of fetching as an operator sees it.
fn of_fetch(name: &ReleaseName, summary: &str, error: &FetchError) -> Problem {
    if error.is_cancelled() {
        return Problem::transient("OV-UPG-042", summary).cause("it was given up");
    }
    let by_hand = || {
        format!(
            "put the release into its place: `omnivisor upgrade prepare {name} --from <file, directory or address>`"
        )
    };
    if error.until_ms().is_some() {
        let hint = "it is asked again then; with a token, more may be asked";
        return Problem::transient("OV-FET-011", summary).because(error).hint(hint);
    }
    let (code, hint) = match error {
        FetchError::Release(error) | FetchError::Download { source: DownloadError::Disk(error), .. } => {
            return of_release(summary, error);
        }
        FetchError::Address(_) | FetchError::NoAddress(_) | FetchError::Directory(_) => {
            ("OV-FET-001", FORMS.to_owned())
        }
        FetchError::Info(InvalidPlanInfo::NoChecksum) | FetchError::NoChecksum(_) => {
            ("OV-FET-003", format!("{}, with a checksum that you trust", by_hand()))
        }
        FetchError::Info(_) => ("OV-FET-001", by_hand()),
        FetchError::Mismatch { .. } | FetchError::Contradiction(_) | FetchError::NotInList { .. } => (
            "OV-FET-004",
            format!("nothing of it is used; compare with what the publisher says, and if that is right, {}", by_hand()),
        ),
        FetchError::Signature { .. } => {
            ("OV-FET-005", "nothing of it is used; ask the publisher, and look at the keys that count".to_owned())
        }
        FetchError::Archive(_) | FetchError::Misplaced(_) => {
            ("OV-FET-006", format!("nothing of it is used; {}", by_hand()))
        }
        FetchError::Download { source: DownloadError::Room { .. }, .. } => (
            "OV-FET-009",
            "make room: `omnivisor release list` and `omnivisor snapshot list` tell what is kept".to_owned(),
        ),
        FetchError::Download { source: DownloadError::Large { .. }, .. } => {
            ("OV-FET-006", format!("if it has to be so large, allow it with `fetch.download-max`; or {}", by_hand()))
        }
        FetchError::Catalog(CatalogError::NotPublished { .. } | CatalogError::NoFile { .. }) => {
            ("OV-FET-010", format!("it is looked for again by itself; if it is published nowhere, {}", by_hand()))
        }
        FetchError::Catalog(CatalogError::NoRepository { .. }) => {
            ("OV-FET-001", "correct the name of the repository, or the token with which it is asked".to_owned())
        }
        FetchError::Catalog(CatalogError::Untrue { .. }) => ("OV-FET-004", by_hand()),
        FetchError::Reference { .. }
        | FetchError::Catalog(_)
        | FetchError::List { .. }
        | FetchError::NoSignature { .. }
        | FetchError::Download { .. }
        | FetchError::Everywhere { .. } => (
            "OV-FET-002",
            format!(
                "see that the server can be reached from here; what came is kept, and the next try goes on from \
                     there; or {}",
                by_hand()
            ),
        ),
    };
    Problem { lasting: error.lasting(), ..Problem::transient(code, summary).because(error).hint(hint) }
}
