//! Unpacking into a release: each member to where the layout rules put it, its bytes digested on their way.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use ov_sys::disk::Disk;

use super::FetchError;
use super::archive::{ArchiveError, Limits, Shape, Survey, What, each_member, unreadable};
use super::kind::Kind;
use super::layout_rules::Placement;
use super::partial::Whole;
use super::progress::{Phase, Reporter};
use super::transport::Cancel;
use crate::digest::{Digest, Hasher};
use crate::error::At;
use crate::tree::Entry;

const BUFFER_BYTES: usize = 256 * 1024;

/// An archive that was looked through, and what is to become of its members.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) kind: Kind,
    pub(super) survey: Survey,
    pub(super) placement: Placement,
}

/// An archive on its way into a tree.
pub(super) struct Unpacking<'a, 'b> {
    pub(super) disk: &'a dyn Disk,
    pub(super) archive: &'b Whole,
    pub(super) limits: &'b Limits,
    pub(super) contents: &'b Contents,
    pub(super) cancel: &'a Cancel,
    pub(super) reporter: &'b mut Reporter<'a>,
}

impl Unpacking<'_, '_> {
    /// Unpacks into an empty directory. Files are synced; directories are not yet.
    pub(super) fn run(&mut self, root: &Path) -> Result<Vec<Entry>, FetchError> {
        let mut entries = BTreeMap::new();
        self.make_directories(root, &mut entries)?;
        let Contents { kind, survey, placement } = self.contents;
        let path = &self.archive.path;
        let mut source = self.disk.open(path).at("open", path)?;
        let total = Some(survey.size);
        self.reporter.begin(Phase::Unpacking, 0, total);
        let (mut index, mut done) = (0, 0);
        each_member::<FetchError>(*kind, &mut source, self.archive.size, self.limits, &mut |member| {
            // The root itself is not among the members that were surveyed.
            if member.path.is_empty() {
                return Ok(());
            }
            let path = placement.paths.get(index).cloned().flatten();
            let surveyed = survey.members.get(index).map(|member| member.size);
            index += 1;
            let Some(path) = path else { return Ok(()) };
            let at = root.join(&path);
            match member.what {
                What::Directory => {}
                What::Link { to } => {
                    self.disk.make_link(Path::new(&to), &at).at("make the link", &at)?;
                    entries.insert(path.clone(), Entry::Link { path, to });
                }
                What::File { mode } => {
                    let is_program = path == placement.program;
                    let mode = if is_program || mode & 0o111 != 0 { 0o755 } else { 0o644 };
                    let (size, sha256) = self.write(&at, mode, member.contents, &mut done)?;
                    if Some(size) != surveyed {
                        return Err(ArchiveError::Damaged("it changed while it was unpacked".to_owned()).into());
                    }
                    entries.insert(path.clone(), Entry::File { path, mode, size, sha256 });
                }
            }
            Ok(())
        })?;
        Ok(entries.into_values().collect())
    }

    /// Directories that are members, and those that only the paths of others name; each before what is in it.
    fn make_directories(&self, root: &Path, entries: &mut BTreeMap<String, Entry>) -> Result<(), FetchError> {
        let Contents { survey, placement, .. } = self.contents;
        let members = survey.members.iter().zip(&placement.paths);
        for (member, path) in members.filter_map(|(member, path)| Some((member, path.as_deref()?))) {
            let ends = path.match_indices('/').map(|(at, _)| at);
            let own = (member.shape == Shape::Directory).then_some(path.len());
            for end in ends.chain(own) {
                let path = path[..end].to_owned();
                entries.entry(path.clone()).or_insert(Entry::Directory { path, mode: 0o755 });
            }
        }
        for path in entries.keys() {
            let at = root.join(path);
            self.disk.make_directory(&at, 0o755).at("make", &at)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        at: &Path,
        mode: u32,
        contents: &mut dyn Read,
        done: &mut u64,
    ) -> Result<(u64, Digest), FetchError> {
        let mut writer = self.disk.create(at, mode).at("create", at)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut size = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(ArchiveError::Cancelled.into());
            }
            let count = match contents.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error).into()),
            };
            hasher.update(&buffer[..count]);
            writer.write_all(&buffer[..count]).at("write", at)?;
            size += count as u64;
            *done += count as u64;
            self.reporter.at(Phase::Unpacking, *done, Some(self.contents.survey.size));
        }
        writer.sync().at("sync", at)?;
        Ok((size, hasher.finish()))
    }
}
