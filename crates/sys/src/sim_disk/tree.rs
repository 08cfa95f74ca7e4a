//! Names and inodes of the simulated disk, each with what programs see and what the device has.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;

use super::content::Content;
use super::pending::{Change, Pending, Transaction};
use crate::random::Random;

/// Number of an inode.
pub(super) type Id = u64;

const ROOT: Id = 1;

/// How many links in a row are followed, as in Linux.
const LINK_HOPS_MAX: u32 = 40;

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Content),
    Directory(Entries),
    Link(PathBuf),
}

/// The names in a directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    seen: BTreeMap<OsString, Id>,
    kept: BTreeMap<OsString, Id>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: SystemTime,
}

#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) node: Node,
    pub(super) attributes: Attributes,
    pub(super) kept_attributes: Attributes,
    /// Names that lead here.
    pub(super) links: u64,
    /// Open handles; an inode without a name lives as long as one is left.
    pub(super) handles: u64,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Place {
    /// The directories on the way, the root first; the last one holds the name.
    trail: Vec<Id>,
    /// Missing when the path ends in the root or in `..`.
    name: Option<OsString>,
    /// What is there.
    pub(super) target: Option<Id>,
}

impl Place {
    pub(super) fn existing(&self) -> io::Result<Id> {
        self.target.ok_or_else(|| Errno::NOENT.into())
    }

    fn vacant(&self) -> io::Result<()> {
        if self.target.is_some() { Err(Errno::EXIST.into()) } else { Ok(()) }
    }

    fn directory(&self) -> Id {
        self.trail.last().copied().unwrap_or(ROOT)
    }

    fn name(&self) -> io::Result<&OsStr> {
        self.name.as_deref().ok_or_else(|| Errno::BUSY.into())
    }

    fn change(&self, target: Option<Id>) -> io::Result<Change> {
        Ok(Change { directory: self.directory(), name: self.name()?.to_owned(), target })
    }
}

/// The whole file system.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    inodes: BTreeMap<Id, Inode>,
    pending: Pending,
    next: Id,
}

impl Tree {
    pub(super) fn new(root: Attributes) -> Self {
        let mut tree = Self { inodes: BTreeMap::new(), pending: Pending::default(), next: ROOT };
        let root = tree.add(Node::Directory(Entries::default()), root);
        debug_assert_eq!(root, ROOT);
        if let Some(inode) = tree.inodes.get_mut(&ROOT) {
            inode.links = 1;
        }
        tree
    }

    fn add(&mut self, node: Node, attributes: Attributes) -> Id {
        let id = self.next;
        self.next += 1;
        let inode = Inode { node, attributes, kept_attributes: attributes, links: 0, handles: 0 };
        self.inodes.insert(id, inode);
        id
    }

    pub(super) fn inode(&self, id: Id) -> io::Result<&Inode> {
        self.inodes.get(&id).ok_or_else(|| Errno::STALE.into())
    }

    pub(super) fn inode_mut(&mut self, id: Id) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| Errno::STALE.into())
    }

    pub(super) fn file(&self, id: Id) -> io::Result<&Content> {
        match &self.inode(id)?.node {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(Errno::ISDIR.into()),
            Node::Link(_) => Err(Errno::LOOP.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: Id) -> io::Result<&mut Content> {
        match &mut self.inode_mut(id)?.node {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(Errno::ISDIR.into()),
            Node::Link(_) => Err(Errno::LOOP.into()),
        }
    }

    fn entries(&self, id: Id) -> io::Result<&Entries> {
        match &self.inode(id)?.node {
            Node::Directory(entries) => Ok(entries),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    fn is_directory(&self, id: Id) -> bool {
        self.entries(id).is_ok()
    }

    pub(super) fn names(&self, id: Id) -> io::Result<Vec<OsString>> {
        Ok(self.entries(id)?.seen.keys().cloned().collect())
    }

    /// Bytes in files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.inodes.values().filter(|inode| inode.links > 0);
        let lens = named.map(|inode| match &inode.node {
            Node::File(content) => content.seen().len() as u64,
            Node::Directory(_) | Node::Link(_) => 0,
        });
        lens.sum()
    }

    /// Follows `path` to where it leads; a link in the last place only if `follow` says so.
    pub(super) fn walk(&self, path: &Path, follow: bool) -> io::Result<Place> {
        if !path.is_absolute() {
            return Err(Errno::INVAL.into());
        }
        let mut trail = vec![ROOT];
        let mut rest: VecDeque<OsString> = parts(path).collect();
        let mut hops = 0;
        while let Some(part) = rest.pop_front() {
            if part == "/" {
                trail.truncate(1);
                continue;
            }
            if part == ".." {
                if trail.len() > 1 {
                    trail.pop();
                }
                continue;
            }
            let here = trail.last().copied().unwrap_or(ROOT);
            let target = self.entries(here)?.seen.get(&part).copied();
            let last = rest.is_empty();
            match target.map(|id| self.inode(id)).transpose()?.map(|inode| &inode.node) {
                Some(Node::Link(text)) if !last || follow => {
                    hops += 1;
                    if hops > LINK_HOPS_MAX {
                        return Err(Errno::LOOP.into());
                    }
                    for part in parts(text).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                _ if last => return Ok(Place { trail, name: Some(part), target }),
                Some(Node::Directory(_)) => trail.extend(target),
                Some(_) => return Err(Errno::NOTDIR.into()),
                None => return Err(Errno::NOENT.into()),
            }
        }
        let target = trail.last().copied();
        Ok(Place { trail, name: None, target })
    }

    /// Makes a new inode with a name.
    pub(super) fn make(&mut self, place: &Place, node: Node, attributes: Attributes) -> io::Result<Id> {
        place.vacant()?;
        place.name()?;
        let id = self.add(node, attributes);
        self.commit(vec![place.change(Some(id))?], false);
        Ok(id)
    }

    pub(super) fn link(&mut self, id: Id, to: &Place) -> io::Result<()> {
        to.vacant()?;
        if self.is_directory(id) {
            return Err(Errno::PERM.into());
        }
        self.commit(vec![to.change(Some(id))?], false);
        Ok(())
    }

    pub(super) fn remove(&mut self, place: &Place, directory: bool) -> io::Result<()> {
        let id = place.existing()?;
        match (self.entries(id), directory) {
            (Ok(entries), true) if !entries.seen.is_empty() => return Err(Errno::NOTEMPTY.into()),
            (Ok(_), false) => return Err(Errno::ISDIR.into()),
            (Err(_), true) => return Err(Errno::NOTDIR.into()),
            _ => {}
        }
        self.commit(vec![place.change(None)?], false);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Place, to: &Place) -> io::Result<()> {
        let id = from.existing()?;
        if to.trail.contains(&id) {
            return Err(Errno::INVAL.into());
        }
        if to.target.is_some_and(|replaced| from.trail.contains(&replaced)) {
            return Err(Errno::NOTEMPTY.into());
        }
        if to.target == Some(id) {
            return Ok(());
        }
        let moves_directory = self.is_directory(id);
        if let Some(replaced) = to.target {
            match (self.entries(replaced), moves_directory) {
                (Ok(_), false) => return Err(Errno::ISDIR.into()),
                (Err(_), true) => return Err(Errno::NOTDIR.into()),
                (Ok(entries), true) if !entries.seen.is_empty() => return Err(Errno::NOTEMPTY.into()),
                _ => {}
            }
        }
        let ordered_with_all = moves_directory && from.directory() != to.directory();
        self.commit(vec![from.change(None)?, to.change(Some(id))?], ordered_with_all);
        Ok(())
    }

    pub(super) fn exchange(&mut self, a: &Place, b: &Place) -> io::Result<()> {
        let (at_a, at_b) = (a.existing()?, b.existing()?);
        if a.trail.contains(&at_b) || b.trail.contains(&at_a) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let moves_directory = self.is_directory(at_a) || self.is_directory(at_b);
        let ordered_with_all = moves_directory && a.directory() != b.directory();
        self.commit(vec![a.change(Some(at_b))?, b.change(Some(at_a))?], ordered_with_all);
        Ok(())
    }

    fn commit(&mut self, changes: Vec<Change>, ordered_with_all: bool) {
        for change in &changes {
            let Some(Inode { node: Node::Directory(entries), .. }) = self.inodes.get_mut(&change.directory) else {
                continue;
            };
            let before = change.apply(&mut entries.seen);
            self.count_link(before, -1);
            self.count_link(change.target, 1);
        }
        self.pending.push(Transaction { changes, ordered_with_all });
    }

    fn count_link(&mut self, id: Option<Id>, by: i64) {
        if let Some(inode) = id.and_then(|id| self.inodes.get_mut(&id)) {
            inode.links = inode.links.saturating_add_signed(by);
        }
    }

    /// Makes the names in a directory durable, and all that had to happen before them.
    pub(super) fn sync_directory(&mut self, id: Id) -> io::Result<()> {
        self.entries(id)?;
        for transaction in self.pending.take_needed_by(id) {
            self.keep(&transaction);
        }
        let inode = self.inode_mut(id)?;
        inode.kept_attributes = inode.attributes;
        self.forget_nameless();
        Ok(())
    }

    fn keep(&mut self, transaction: &Transaction) {
        for change in &transaction.changes {
            if let Some(Inode { node: Node::Directory(entries), .. }) = self.inodes.get_mut(&change.directory) {
                change.apply(&mut entries.kept);
            }
        }
    }

    pub(super) fn sync_all(&mut self) {
        for transaction in self.pending.take_all() {
            self.keep(&transaction);
        }
        for inode in self.inodes.values_mut() {
            inode.kept_attributes = inode.attributes;
            if let Node::File(content) = &mut inode.node {
                content.sync();
            }
        }
        self.forget_nameless();
    }

    pub(super) fn fail_sync_all(&mut self, random: &mut Random) {
        for inode in self.inodes.values_mut() {
            if let Node::File(content) = &mut inode.node {
                content.fail_sync(random);
            }
        }
    }

    /// Inodes that neither programs nor the device know a name of are gone.
    fn forget_nameless(&mut self) {
        if self.pending.is_empty() {
            self.inodes.retain(|_, inode| inode.links > 0 || inode.handles > 0);
        }
    }

    /// The power goes. See the fault model of the parent module.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        for transaction in self.pending.take_surviving(random) {
            self.keep(&transaction);
        }
        for inode in self.inodes.values_mut() {
            inode.links = 0;
            inode.handles = 0;
            if random.chance(1, 2) {
                inode.kept_attributes = inode.attributes;
            }
            inode.attributes = inode.kept_attributes;
            match &mut inode.node {
                Node::File(content) => content.lose_power(random),
                Node::Directory(entries) => entries.seen.clone_from(&entries.kept),
                Node::Link(_) => {}
            }
        }
        self.count_links_from_root();
    }

    /// Counts the names that lead to each inode and forgets what cannot be reached any more.
    fn count_links_from_root(&mut self) {
        let mut rest = vec![ROOT];
        while let Some(id) = rest.pop() {
            let Some(inode) = self.inodes.get_mut(&id) else { continue };
            inode.links += 1;
            if let (1, Node::Directory(entries)) = (inode.links, &inode.node) {
                rest.extend(entries.seen.values());
            }
        }
        self.inodes.retain(|_, inode| inode.links > 0);
    }

    /// All handles are closed: the process that had them is dead.
    pub(super) fn close_handles(&mut self) {
        for inode in self.inodes.values_mut() {
            inode.handles = 0;
        }
    }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    let named = path.components().filter(|part| !matches!(part, Component::CurDir | Component::Prefix(_)));
    named.map(|part| part.as_os_str().to_owned())
}
