//! What an archive holds, judged as a whole before any of it is unpacked.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use super::{ArchiveError, Limits, Member, Source, What, each_member, unreadable};
use crate::fetch::kind::Kind;
use crate::tree;

const BUFFER_BYTES: usize = 256 * 1024;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fetch) enum Shape {
    File,
    Directory,
    Link { to: String },
}

/// A member, by what is known of it without its contents.
#[derive(Debug, Clone)]
pub(in crate::fetch) struct Surveyed {
    pub(in crate::fetch) path: String,
    pub(in crate::fetch) shape: Shape,
    pub(in crate::fetch) size: u64,
}

/// All members in their order.
#[derive(Debug, Default)]
pub(in crate::fetch) struct Survey {
    pub(in crate::fetch) members: Vec<Surveyed>,
    /// Bytes in all files.
    pub(in crate::fetch) size: u64,
    /// What is at each path, directories that only other members' paths name included.
    seen: BTreeMap<String, Shape>,
    /// The same paths without regard to case.
    folded: BTreeMap<String, String>,
}

impl Survey {
    /// Goes through an archive to its last byte, unless `is_over` says that nobody wants to know any more.
    pub(in crate::fetch) fn of(
        kind: Kind,
        source: &mut dyn Source,
        len: u64,
        limits: &Limits,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self, ArchiveError> {
        let mut survey = Self::default();
        let members_max = limits.members_max.min(tree::ENTRIES_MAX);
        each_member::<ArchiveError>(kind, source, len, limits, &mut |member| {
            if survey.members.len() >= members_max {
                return Err(ArchiveError::Many { allowed: members_max });
            }
            survey.add(member, limits.unpacked_bytes_max, is_over)
        })?;
        if survey.members.is_empty() { Err(ArchiveError::Empty) } else { Ok(survey) }
    }

    fn add(&mut self, member: Member<'_>, allowed: u64, is_over: &dyn Fn() -> bool) -> Result<(), ArchiveError> {
        let Member { path, what, size, contents } = member;
        if path.is_empty() {
            // The root is where everything goes anyway; it can be nothing but a directory.
            return match what {
                What::Directory => Ok(()),
                _ => Err(ArchiveError::member(b"", "its name is empty")),
            };
        }
        let depth = path.matches('/').count();
        let shape = match what {
            What::Directory => Shape::Directory,
            What::File { .. } => Shape::File,
            What::Link { to } if is_fit_for_a_link(&to) && tree::text_stays_inside(Path::new(&to), depth) => {
                Shape::Link { to }
            }
            What::Link { to } => {
                return Err(ArchiveError::member(
                    path.as_bytes(),
                    format!("it is a link to {to:?}, which may lead out"),
                ));
            }
        };
        for (at, _) in path.match_indices('/') {
            self.see(&path, &path[..at], &Shape::Directory)?;
        }
        self.see(&path, &path, &shape)?;
        let size = match shape {
            Shape::File => read(contents, &path, size, is_over)?,
            Shape::Directory | Shape::Link { .. } => 0,
        };
        self.size = self.size.saturating_add(size);
        if self.size > allowed {
            return Err(ArchiveError::Large { allowed });
        }
        self.members.push(Surveyed { path, shape, size });
        Ok(())
    }

    /// Notes what `member` says is at a path; directories may be said twice.
    fn see(&mut self, member: &str, path: &str, shape: &Shape) -> Result<(), ArchiveError> {
        let refused = |why: String| Err(ArchiveError::member(member.as_bytes(), why));
        match self.seen.get(path) {
            None => {}
            Some(Shape::Directory) if *shape == Shape::Directory => return Ok(()),
            Some(_) if path == member => return refused("another member has the same name".to_owned()),
            Some(Shape::Link { .. }) => return refused(format!("`{path}` above it is a link")),
            Some(_) => return refused(format!("`{path}` above it is a file")),
        }
        if let Some(other) = self.folded.insert(path.to_lowercase(), path.to_owned()) {
            return refused(format!("it differs from `{other}` only by the case of letters"));
        }
        self.seen.insert(path.to_owned(), shape.clone());
        Ok(())
    }
}

fn is_fit_for_a_link(text: &str) -> bool {
    const LEN_MAX: usize = 4000;
    !text.is_empty() && text.len() <= LEN_MAX && !text.chars().any(char::is_control)
}

/// Reads contents to their end, so that whatever is wrong with them shows; says how long they are.
fn read(
    contents: &mut dyn Read,
    path: &str,
    expected: Option<u64>,
    is_over: &dyn Fn() -> bool,
) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        if is_over() {
            return Err(ArchiveError::Cancelled);
        }
        match contents.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => size += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if expected.is_some_and(|expected| expected != size) {
        return Err(ArchiveError::member(path.as_bytes(), "it ends in the middle"));
    }
    Ok(size)
}
