//! Users and groups by name, from the files that hold the local ones.
//!
//! A C library could also ask directories on the network. A node's user is a local one nearly always; the number can be
//! given where it is not, and the error says so.

use std::path::Path;

use ov_sys::Disk;

const FILE_BYTES_MAX: u64 = 16 << 20;

/// Whom a unit runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) supplementary: Option<Vec<u32>>,
}

/// The number of a user, if it can be told.
pub(crate) fn user_id(disk: &dyn Disk, user: &str) -> Option<u32> {
    look_up(disk, Some(user), None).ok()?.user
}

/// Looks up a user and a group, each by name or number.
pub(super) fn look_up(disk: &dyn Disk, user: Option<&str>, group: Option<&str>) -> Result<Account, String> {
    let mut account = Account::default();
    if let Some(user) = user {
        let users = read(disk, Path::new("/etc/passwd"))?;
        let line = lines(&users).find(|fields| is(fields, user));
        let number = |fields: &[&str], index: usize| fields.get(index).and_then(|text| text.parse::<u32>().ok());
        account.user = line.as_deref().and_then(|fields| number(fields, 2)).or_else(|| user.parse().ok());
        if account.user.is_none() {
            return Err(format!("there is no local user `{user}`; the number can be given for others"));
        }
        account.group = line.as_deref().and_then(|fields| number(fields, 3)).or(account.user);
        let groups = read(disk, Path::new("/etc/group"))?;
        let name = line.as_deref().and_then(|fields| fields.first()).copied().unwrap_or(user);
        let member =
            |fields: &Vec<&str>| fields.get(3).is_some_and(|members| members.split(',').any(|each| each == name));
        account.supplementary = Some(lines(&groups).filter(member).filter_map(|fields| number(&fields, 2)).collect());
    }
    if let Some(group) = group {
        let groups = read(disk, Path::new("/etc/group"))?;
        let found = lines(&groups).find(|fields| is(fields, group)).and_then(|fields| fields.get(2)?.parse().ok());
        account.group = Some(
            found
                .or_else(|| group.parse().ok())
                .ok_or_else(|| format!("there is no local group `{group}`; the number can be given for others"))?,
        );
    }
    Ok(account)
}

fn is(fields: &[&str], wanted: &str) -> bool {
    fields.first() == Some(&wanted) || fields.get(2) == Some(&wanted)
}

fn read(disk: &dyn Disk, path: &Path) -> Result<String, String> {
    let bytes =
        disk.read(path, FILE_BYTES_MAX).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::SimDisk;
    use ov_sys::durable::{make_directories, replace};

    fn disk() -> SimDisk {
        let disk = SimDisk::new(1);
        make_directories(&disk, Path::new("/etc"), 0o755).unwrap();
        let users = b"root:x:0:0:root:/root:/bin/sh\n# no\nnode:x:812:813::/var/lib/node:/bin/false\n";
        let groups = b"root:x:0:\nnode:x:813:\ndisk:x:6:node,other\nwheel:x:10:other\n";
        replace(&disk, Path::new("/etc/passwd"), users, 0o644).unwrap();
        replace(&disk, Path::new("/etc/group"), groups, 0o644).unwrap();
        disk
    }

    #[test]
    fn names_and_numbers_are_found() {
        let node = Account { user: Some(812), group: Some(813), supplementary: Some(vec![6]) };
        assert_eq!(look_up(&disk(), Some("node"), None), Ok(node.clone()));
        assert_eq!(look_up(&disk(), Some("812"), None), Ok(node.clone()));
        assert_eq!(look_up(&disk(), Some("node"), Some("wheel")), Ok(Account { group: Some(10), ..node }));
        let stranger = Account { user: Some(4_000), group: Some(4_000), supplementary: Some(vec![]) };
        assert_eq!(look_up(&disk(), Some("4000"), None), Ok(stranger));
        assert_eq!(look_up(&disk(), None, None), Ok(Account::default()));
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(look_up(&disk(), Some("nobody-here"), None).unwrap_err().contains("nobody-here"));
        assert!(look_up(&disk(), None, Some("no-group")).unwrap_err().contains("no-group"));
    }
}
