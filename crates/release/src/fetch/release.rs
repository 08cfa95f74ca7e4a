//! A release from its addresses: fetched, believed, judged, unpacked and put into its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ov_sys::disk::Disk;
use ov_sys::{Clock, Random, durable};
use ov_types::ReleaseName;

use super::CrashPoint;
use super::address::Address;
use super::archive::{Limits, Survey};
use super::checksum::{Checksum, Clause};
use super::download::Line;
use super::error::{Failures, FetchError};
use super::expected::{Digested, compare, wanted};
use super::kind::Kind;
use super::layout_rules::{Candidate, place};
use super::object_store::Credentials;
use super::partial::{self, Whole};
use super::plan_info::{self, InvalidPlanInfo, PlanInfo, Written};
use super::progress::{Progress, Reporter};
use super::signature::{self, SignatureError, Signer};
use super::transport::{Cancel, Transport};
use super::tries::Patience;
use super::unpack::Unpacking;
use crate::digest::Digest;
use crate::error::{At, ReleaseError};
use crate::layout::Layout;
use crate::provenance::{Fetched, Provenance};
use crate::stage::{self, Staged};
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

/// What has to be said for bytes before they are looked into.
#[derive(Debug, Clone, Default)]
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
}

/// A fetch under way.
pub(super) struct Fetch<'a, 'r> {
    pub(super) line: Line<'a>,
    pub(super) layout: &'r Layout,
    pub(super) request: &'r FetchRequest,
}

/// Fetches a release. Fetching the same again does nothing; fetching again what broke off goes on where it did.
pub fn fetch(world: World<'_>, layout: &Layout, request: &FetchRequest) -> Result<Staged, FetchError> {
    let (disk, name) = (world.disk, &request.name);
    if !tree::is_inside(Path::new(&request.program)) {
        let path = request.program.clone().into();
        return Err(ReleaseError::Unfit { path, why: "the program must lie in the release" }.into());
    }
    let unproven = request.addresses.iter().find(|address| address.checksum().is_none() && request.checksum.is_none());
    if let Some(address) = unproven.filter(|_| request.policy.must_have_checksum) {
        return Err(FetchError::NoChecksum(address.to_string()));
    }
    let place = layout.parent(name);
    let mut fetch = Fetch { line: line(world, place, request.patience, &request.limits), layout, request };
    let mut failures = Vec::new();
    for address in &request.addresses {
        match fetch.from(address) {
            Ok(staged) => {
                CrashPoint::Placed.reach();
                partial::discard(disk, layout, name)?;
                return Ok(staged);
            }
            Err(error) => {
                if error.spoils_what_came() {
                    // On a full disk the leftovers would hold the very room that is missing.
                    let _ = partial::discard(disk, layout, name);
                }
                if !error.is_of_the_address() {
                    return Err(error);
                }
                failures.push(error);
            }
        }
    }
    Err(match failures.pop() {
        None => FetchError::NoAddress(name.clone()),
        Some(only) if failures.is_empty() => only,
        Some(last) => {
            failures.push(last);
            FetchError::Everywhere { name: name.clone(), failures: Failures(failures) }
        }
    })
}

fn line<'a>(world: World<'a>, place: PathBuf, patience: Patience, limits: &Limits) -> Line<'a> {
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
    fn from(&mut self, address: &Address) -> Result<Staged, FetchError> {
        if let Some(directory) = self.local_directory(address)? {
            return self.stage_directory(address, &directory);
        }
        if let Some(there) = stage::make_way(self.line.disk, self.layout, &self.request.name)? {
            return self.accept(there);
        }
        let expected = self.line.expected(address, self.request.checksum.as_ref())?;
        let whole = self.bring(address, &expected)?;
        let signer = self.check_signature(address, &whole)?;
        CrashPoint::Verified.reach();
        let fetched = Fetched {
            address: address.to_string(),
            size: whole.size,
            sha256: whole.sha256,
            checksum: expected.last().map(ToString::to_string),
            signer,
        };
        let provenance = match address.kind() {
            None => self.build_from_program(&whole, fetched)?,
            Some(kind) => self.build_from_archive(address, kind, &whole, fetched)?,
        };
        Ok(Staged { provenance, changed: true })
    }

    /// Brings the bytes and compares them. If they came in pieces and are wrong, the pieces may not belong together:
    /// then once more in one.
    fn bring(&mut self, address: &Address, expected: &[Checksum]) -> Result<Whole, FetchError> {
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
            let beside = address.beside(suffix);
            match self.line.text(&beside, signature::LEN_MAX) {
                Ok(signature) => return Ok((beside.to_string(), signature)),
                Err(source) => last = last.or(Some(FetchError::NoSignature { address: beside.to_string(), source })),
            }
        }
        Err(last.unwrap_or_else(|| FetchError::NoAddress(self.request.name.clone())))
    }

    /// What is there already is as good if it was fetched from the same place, or came to the same checksum.
    fn accept(&self, there: Provenance) -> Result<Staged, FetchError> {
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
        if is_same {
            Ok(Staged { provenance: there, changed: false })
        } else {
            Err(ReleaseError::Occupied { name: request.name.clone() }.into())
        }
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
            tree::sync_directories(disk, staging, &entries)?;
            CrashPoint::Unpacked.reach();
            provenance_of(request, entries, fetched, now_ms)
        })
    }

    fn build_from_archive(
        &mut self,
        address: &Address,
        kind: Kind,
        whole: &Whole,
        fetched: Fetched,
    ) -> Result<Provenance, FetchError> {
        let (disk, layout, request) = (self.line.disk, self.layout, self.request);
        let survey = {
            let mut source = disk.open(&whole.path).at("open", &whole.path)?;
            Survey::of(kind, &mut source, whole.size, &request.limits)?
        };
        let candidates: Vec<_> =
            survey.members.iter().map(|member| Candidate { path: &member.path, shape: &member.shape }).collect();
        let placement = place(&candidates, true, address.subdirectory(), &request.program, &address.to_string())?;
        let (cancel, reporter) = (self.line.cancel, &mut self.line.reporter);
        let mut unpacking = Unpacking {
            disk,
            archive: &whole.path,
            len: whole.size,
            kind,
            limits: &request.limits,
            survey: &survey,
            placement: &placement,
            cancel,
            reporter,
        };
        let now_ms = self.line.clock.now().wall_ms;
        stage::build(disk, layout, &request.name, survey.size, |staging| {
            let entries = unpacking.run(staging)?;
            tree::sync_directories(disk, staging, &entries)?;
            CrashPoint::Unpacked.reach();
            provenance_of(request, entries, fetched, now_ms)
        })
    }
}

fn provenance_of(
    request: &FetchRequest,
    entries: Vec<Entry>,
    fetched: Fetched,
    now_ms: i64,
) -> Result<Provenance, FetchError> {
    stage::check_program(&request.name, request.sha256, &request.program, &entries)?;
    let source = request.origin.clone().unwrap_or_else(|| fetched.address.clone());
    let (name, program) = (request.name.clone(), request.program.clone());
    Ok(Provenance::new(name, program, source, now_ms, entries).with_fetched(fetched))
}
