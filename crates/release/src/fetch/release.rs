//! A release from its addresses: fetched, believed, judged, unpacked and put into its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ov_sys::disk::Disk;
use ov_sys::{Clock, Random, durable};
use ov_types::ReleaseName;

use super::CrashPoint;
use super::address::Address;
use super::archive::{Limits, Survey, by_contents};
use super::checksum::{Checksum, Clause};
use super::download::{DownloadError, Line};
use super::error::{Failures, FetchError};
use super::expected::{Digested, compare, wanted};
use super::kind::Kind;
use super::layout_rules::{Candidate, Wanted, place};
use super::object_store::Credentials;
use super::partial::{self, Whole};
use super::plan_info::{self, InvalidPlanInfo, PlanInfo, Written};
use super::progress::{Progress, Reporter};
use super::signature::{self, SignatureError, Signer};
use super::transport::{Cancel, Transport};
use super::tries::Patience;
use super::unpack::{Contents, Unpacking};
use crate::addition::{Addition, missing_in_tree};
use crate::digest::Digest;
use crate::error::{At, ReleaseError};
use crate::layout::Layout;
use crate::provenance::{Fetched, Provenance};
use crate::stage::{self, Remains, Staged, Way};
use crate::state::{State, state};
use crate::tree::{self, Entry};

/// What a fetch needs of the world.
pub struct World<'a> {
    /// Where releases lie.
    pub disk: &'a dyn Disk,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The network.
    pub transport: &'a dyn Transport,
    /// What opens object stores.
    pub credentials: &'a Credentials,
    /// By what the fetch is called off.
    pub cancel: &'a Cancel,
    /// Chance, so that many nodes do not try again in the same moment.
    pub random: Random,
    /// Who hears how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("disk", &self.disk).field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Fetch<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetch").field("request", &self.request).finish_non_exhaustive()
    }
}

/// What has to be said for bytes before they are looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// There has to be a checksum.
    pub must_have_checksum: bool,
    /// One of these has to have signed them; nobody has to when there are none.
    pub signers: Vec<Signer>,
}

/// A release to be fetched.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// Its name.
    pub name: ReleaseName,
    /// Where its program lies, relative to the release's directory.
    pub program: String,
    /// What the program is called in an archive, if that is neither its place nor the last part of it.
    pub inside: Option<String>,
    /// Where it is, and behind that where else it is.
    pub addresses: Vec<Address>,
    /// What is fetched must come to this, beside what its address says.
    pub checksum: Option<Checksum>,
    /// What the program must hash to.
    pub sha256: Option<Digest>,
    /// What is believed.
    pub policy: Policy,
    /// What is accepted.
    pub limits: Limits,
    /// How long is tried.
    pub patience: Patience,
    /// Where it came from, in words that go into the provenance; the address when left out.
    pub origin: Option<String>,
    /// What the release gets if it does not bring it.
    pub additions: Vec<Addition>,
}

/// A fetch under way, in two parts: [`bring`](Self::bring) takes as long as it takes, and touches nothing but a folder
/// of its own; [`put`](Self::put) is short, and nobody may put releases into their folder beside it. A release is
/// fetched by one at a time.
pub struct Fetch<'a, 'r> {
    pub(super) line: Line<'a>,
    pub(super) layout: &'r Layout,
    pub(super) request: &'r FetchRequest,
}

/// What was brought and believed, and looks like a release.
#[derive(Debug)]
pub struct Brought(pub(super) Goods);

#[derive(Debug)]
pub(super) enum Goods {
    /// There is nothing to do.
    There,
    /// A directory of this machine.
    Directory(Address, PathBuf),
    /// The program itself.
    Program(Whole, Box<Fetched>),
    /// The program and what belongs to it.
    Archive(Whole, Box<Fetched>, Box<Contents>),
}

/// Fetches a release. Fetching the same again does nothing; fetching again what broke off goes on where it did.
pub fn fetch(world: World<'_>, layout: &Layout, request: &FetchRequest) -> Result<Staged, FetchError> {
    let mut fetch = Fetch::new(world, layout, request)?;
    let brought = fetch.bring()?;
    fetch.put(brought)
}

impl<'a, 'r> Fetch<'a, 'r> {
    /// A fetch that has not begun. What the policy forbids is refused here.
    pub fn new(world: World<'a>, layout: &'r Layout, request: &'r FetchRequest) -> Result<Self, FetchError> {
        if !tree::is_inside(Path::new(&request.program)) {
            let path = request.program.clone().into();
            return Err(ReleaseError::Unfit { path, why: "the program must lie in the release" }.into());
        }
        let is_unproven = |address: &&Address| address.checksum().is_none() && request.checksum.is_none();
        let unproven = request.addresses.iter().find(is_unproven);
        if let Some(address) = unproven.filter(|_| request.policy.must_have_checksum) {
            return Err(FetchError::NoChecksum(address.to_string()));
        }
        let place = layout.parent(&request.name);
        Ok(Self { line: line(world, place, request.patience, &request.limits), layout, request })
    }

    /// Brings the bytes, from the first address that serves, believes them and looks into them.
    pub fn bring(&mut self) -> Result<Brought, FetchError> {
        let mut failures = Vec::new();
        for address in &self.request.addresses {
            match self.bring_from(address) {
                Ok(goods) => return Ok(Brought(goods)),
                Err(error) => {
                    self.tidy_up(&error);
                    if !error.is_of_the_address() {
                        return Err(error);
                    }
                    failures.push(error);
                }
            }
        }
        let name = || self.request.name.clone();
        Err(match failures.pop() {
            None => FetchError::NoAddress(name()),
            Some(only) if failures.is_empty() => only,
            Some(last) => {
                failures.push(last);
                FetchError::Everywhere { name: name(), failures: Failures(failures) }
            }
        })
    }

    /// Puts what was brought into its place as a release.
    pub fn put(&mut self, brought: Brought) -> Result<Staged, FetchError> {
        let result = self.put_goods(brought.0);
        match &result {
            Ok(_) => {
                CrashPoint::Placed.reach();
                partial::discard(self.line.disk, self.layout, &self.request.name)?;
            }
            Err(error) => self.tidy_up(error),
        }
        result
    }

    /// What is wrong goes, and so does, on a full disk, what holds the very room that is missing.
    fn tidy_up(&self, error: &FetchError) {
        if error.spoils_what_came() {
            // The error tells more than one of this would.
            let _ = partial::discard(self.line.disk, self.layout, &self.request.name);
        }
    }
}

pub(super) fn line<'a>(world: World<'a>, place: PathBuf, patience: Patience, limits: &Limits) -> Line<'a> {
    let World { disk, clock, transport, credentials, cancel, random, progress } = world;
    let reporter = Reporter::new(progress, clock);
    let bytes_max = limits.download_bytes_max;
    Line { disk, place, clock, transport, credentials, cancel, random, reporter, patience, bytes_max }
}

/// Reads what a plan says of its release, following its reference if it is one.
pub fn read_plan_info(
    world: World<'_>,
    text: &str,
    must_have_checksum: bool,
    patience: Patience,
) -> Result<PlanInfo, FetchError> {
    let address = match PlanInfo::read(text, must_have_checksum)? {
        Written::Here(info) => return Ok(info),
        Written::At(address) => address,
    };
    let shown = address.to_string();
    let mut line = line(world, PathBuf::from("/"), patience, &Limits::default());
    let failed = |source| FetchError::Reference { address: shown.clone(), source };
    let bytes = line.text(&address, plan_info::LEN_MAX).map_err(failed)?;
    let expected = line.expected(&address, None)?;
    compare(&address, &expected, &Digested::of(&bytes, &expected))?;
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() {
        return Err(InvalidPlanInfo::NoContent(shown).into());
    }
    Ok(PlanInfo::parse(text.trim())?)
}

/// Removes what fetching left of releases that are not `wanted` any more.
pub fn forget(disk: &dyn Disk, layout: &Layout, wanted: &BTreeSet<ReleaseName>) -> Result<(), FetchError> {
    let mut left: BTreeSet<ReleaseName> = layout.placed.keys().cloned().collect();
    if durable::exists(disk, &layout.releases).at("look at", &layout.releases)? {
        let entries = disk.list(&layout.releases).at("list", &layout.releases)?;
        let name = |entry: &str| ReleaseName::new(entry.strip_prefix(".fetching-")?).ok();
        left.extend(entries.iter().filter_map(|entry| name(entry.to_str()?)));
    }
    for name in left.difference(wanted) {
        partial::discard(disk, layout, name)?;
    }
    Ok(())
}

impl Fetch<'_, '_> {
    fn bring_from(&mut self, address: &Address) -> Result<Goods, FetchError> {
        if let Some(directory) = self.local_directory(address)? {
            return Ok(Goods::Directory(address.clone(), directory));
        }
        if self.is_there()? {
            return Ok(Goods::There);
        }
        let expected = self.line.expected(address, self.request.checksum.as_ref())?;
        let whole = self.believed(address, &expected)?;
        let signer = self.check_signature(address, &whole)?;
        CrashPoint::Verified.reach();
        let fetched = Box::new(Fetched {
            address: address.to_string(),
            size: whole.size,
            sha256: whole.sha256,
            checksum: expected.last().map(ToString::to_string),
            signer,
        });
        let kind = if address.is_by_contents() { self.kind_of(address, &whole)? } else { address.kind() };
        Ok(match kind {
            None => Goods::Program(whole, fetched),
            Some(kind) => {
                let contents = self.judged(address, kind, &whole)?;
                Goods::Archive(whole, fetched, Box::new(contents))
            }
        })
    }

    /// The kind of archive that was brought, by its contents.
    fn kind_of(&self, address: &Address, whole: &Whole) -> Result<Option<Kind>, FetchError> {
        let mut source = self.line.disk.open(&whole.path).at("open", &whole.path)?;
        Ok(by_contents(&address.file_name(), &mut source).at("read", &whole.path)?)
    }

    /// Whether the release is there already. What somebody else put in its place is told before anything is fetched.
    fn is_there(&self) -> Result<bool, FetchError> {
        let (disk, layout, name) = (self.line.disk, self.layout, &self.request.name);
        let pending = layout.pending(name);
        match state(disk, layout, name)? {
            State::Complete(there) => self.accepted(there).map(|_| true),
            State::Unknown if !durable::exists(disk, &pending).at("look at", &pending)? => {
                let path = layout.directory(name);
                match stage::what_lies_there(disk, layout, &path)? {
                    Remains::Hollow | Remains::Unfinished => Ok(false),
                    Remains::Foreign => Err(ReleaseError::Foreign { name: name.clone(), path }.into()),
                }
            }
            State::Unknown | State::Missing | State::Damaged(_) => Ok(false),
        }
    }

    fn put_goods(&mut self, goods: Goods) -> Result<Staged, FetchError> {
        if let Goods::Directory(address, directory) = &goods {
            return self.stage_directory(address, directory);
        }
        // Somebody may have put one there meanwhile, and an earlier try may only need to be finished.
        let set_aside = match stage::make_way(self.line.disk, self.layout, &self.request.name)? {
            Way::Taken(there) => return Ok(Staged::before(self.accepted(there)?)),
            Way::Free { set_aside } => set_aside,
        };
        let provenance = match goods {
            Goods::Program(whole, fetched) => self.build_from_program(&whole, *fetched)?,
            Goods::Archive(whole, fetched, contents) => self.build_from_archive(&whole, *fetched, &contents)?,
            Goods::There | Goods::Directory(..) => {
                let name = self.request.name.clone();
                return Err(ReleaseError::Incomplete { name, state: "gone again".to_owned() }.into());
            }
        };
        Ok(Staged { provenance, changed: true, set_aside })
    }

    /// Brings the bytes and compares them. If they came in pieces and are wrong, the pieces may not belong together:
    /// then once more in one.
    fn believed(&mut self, address: &Address, expected: &[Checksum]) -> Result<Whole, FetchError> {
        let (layout, name) = (self.layout, &self.request.name);
        let failed = |source| FetchError::Download { address: address.to_string(), source };
        let digested = |whole: &Whole| Digested { sha256: whole.sha256, other: whole.checksum.clone() };
        let (whole, is_of_one_piece) = self.line.fetch(layout, name, address, wanted(expected)).map_err(failed)?;
        match compare(address, expected, &digested(&whole)) {
            Ok(()) => return Ok(whole),
            Err(error) if is_of_one_piece => return Err(error),
            Err(_) => partial::discard(self.line.disk, layout, name)?,
        }
        let (whole, _) = self.line.fetch(layout, name, address, wanted(expected)).map_err(failed)?;
        compare(address, expected, &digested(&whole)).map(|()| whole)
    }

    fn check_signature(&mut self, address: &Address, whole: &Whole) -> Result<Option<String>, FetchError> {
        let signers = &self.request.policy.signers;
        if signers.is_empty() {
            return Ok(None);
        }
        let (beside, signature) = self.signature_beside(address, &signature::suffixes(signers))?;
        let (disk, path) = (self.line.disk, &whole.path);
        match signature::check(signers, &signature, &|| disk.open(path)) {
            Ok(signer) => Ok(Some(signer)),
            Err(SignatureError::Read(source)) => Err(source).at("read", path)?,
            Err(source) => Err(FetchError::Signature { address: beside, source }),
        }
    }

    /// The first signature that lies beside an address, and where.
    fn signature_beside(&mut self, address: &Address, suffixes: &[&str]) -> Result<(String, Vec<u8>), FetchError> {
        let mut last = None;
        for suffix in suffixes {
            let (shown, found) = match address.beside(suffix) {
                Some(beside) => (beside.to_string(), self.line.text(&beside, signature::LEN_MAX)),
                None => (format!("{address}{suffix}"), Err(DownloadError::Absent)),
            };
            match found {
                Ok(signature) => return Ok((shown, signature)),
                Err(source) => last = last.or(Some(FetchError::NoSignature { address: shown, source })),
            }
        }
        Err(last.unwrap_or_else(|| FetchError::NoAddress(self.request.name.clone())))
    }

    /// What is there already is as good if it was fetched from the same place, or came to the same checksum.
    fn accepted(&self, there: Provenance) -> Result<Provenance, FetchError> {
        let request = self.request;
        stage::check_program(&request.name, request.sha256, &there.program, &there.entries)?;
        let in_address = request.addresses.iter().filter_map(|address| match address.checksum() {
            Some(Clause::Value(checksum)) => Some(checksum),
            Some(Clause::List(_)) | None => None,
        });
        let known: Vec<&Checksum> = request.checksum.iter().chain(in_address).collect();
        let is_same = there.fetched.as_ref().is_some_and(|fetched| {
            let sha256 = Checksum::sha256(fetched.sha256);
            let is_it = |known: &&Checksum| **known == sha256 || fetched.checksum.as_ref() == Some(&known.to_string());
            let is_from_there = || request.addresses.iter().any(|address| address.to_string() == fetched.address);
            if known.is_empty() { is_from_there() } else { known.iter().any(is_it) }
        });
        if is_same { Ok(there) } else { Err(ReleaseError::Occupied { name: request.name.clone() }.into()) }
    }

    /// What came is the program itself.
    fn build_from_program(&self, whole: &Whole, fetched: Fetched) -> Result<Provenance, FetchError> {
        let (disk, request, now_ms) = (self.line.disk, self.request, self.line.clock.now().wall_ms);
        let program = Path::new(&request.program);
        stage::build(disk, self.layout, &request.name, 0, |staging| {
            let mut entries = Vec::new();
            let above: Vec<&Path> = program.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
            for above in above.into_iter().rev() {
                let at = staging.join(above);
                disk.make_directory(&at, 0o755).at("make", &at)?;
                entries.push(Entry::Directory { path: above.to_string_lossy().into_owned(), mode: 0o755 });
            }
            let at = staging.join(program);
            disk.set_mode(&whole.path, 0o755).at("make executable", &whole.path)?;
            disk.sync_file(&whole.path).at("sync", &whole.path)?;
            disk.rename(&whole.path, &at).at("rename to", &at)?;
            let (path, size, sha256) = (request.program.clone(), whole.size, whole.sha256);
            entries.push(Entry::File { path, mode: 0o755, size, sha256 });
            finish(disk, self.layout, request, staging, entries, fetched, now_ms)
        })
    }

    /// Looks through an archive, and finds its members their places.
    fn judged(&self, address: &Address, kind: Kind, whole: &Whole) -> Result<Contents, FetchError> {
        let (disk, request, cancel) = (self.line.disk, self.request, self.line.cancel);
        let mut source = disk.open(&whole.path).at("open", &whole.path)?;
        let survey = Survey::of(kind, &mut source, whole.size, &request.limits, &|| cancel.is_cancelled())?;
        let candidates: Vec<_> =
            survey.members.iter().map(|member| Candidate { path: &member.path, shape: &member.shape }).collect();
        let wanted = Wanted { program: &request.program, inside: request.inside.as_deref() };
        let placement = place(&candidates, true, address.subdirectory(), wanted, &address.to_string())?;
        Ok(Contents { kind, survey, placement })
    }

    fn build_from_archive(
        &mut self,
        whole: &Whole,
        fetched: Fetched,
        contents: &Contents,
    ) -> Result<Provenance, FetchError> {
        let (disk, layout, request) = (self.line.disk, self.layout, self.request);
        let now_ms = self.line.clock.now().wall_ms;
        let (cancel, reporter) = (self.line.cancel, &mut self.line.reporter);
        let (archive, limits) = (whole, &request.limits);
        let mut unpacking = Unpacking { disk, archive, limits, contents, cancel, reporter };
        stage::build(disk, layout, &request.name, contents.survey.size, |staging| {
            let entries = unpacking.run(staging)?;
            finish(disk, layout, request, staging, entries, fetched, now_ms)
        })
    }
}

/// Adds to a tree what it lacks, syncs it, and says what it is.
fn finish(
    disk: &dyn Disk,
    layout: &Layout,
    request: &FetchRequest,
    staging: &Path,
    mut entries: Vec<Entry>,
    fetched: Fetched,
    now_ms: i64,
) -> Result<Provenance, FetchError> {
    let added = missing_in_tree(&request.additions, &entries)?;
    entries.extend(tree::transfer(disk, &added, Some(staging))?);
    entries.sort_by(|a, b| a.path().cmp(b.path()));
    tree::sync_directories(disk, staging, &entries)?;
    CrashPoint::Unpacked.reach();
    stage::check_program(&request.name, request.sha256, &request.program, &entries)?;
    layout.check_launch_file(&request.name, &entries)?;
    let source = request.origin.clone().unwrap_or_else(|| fetched.address.clone());
    let (name, program) = (request.name.clone(), request.program.clone());
    Ok(Provenance::new(name, program, source, now_ms, layout.kept(entries)).with_fetched(fetched))
}
