//! The cgroup a unit may have: one below our own, where the system gives us a version 2 tree. The shim makes and
//! removes it; only where the shim was killed it is removed here.

use std::path::{Path, PathBuf};

use ov_sys::Disk;
use ov_types::UnitName;

use super::find::shim_lives;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a unit's cgroup would be. Whether it can be made is found out by the shim, which does without it otherwise.
pub(super) fn of_unit(disk: &dyn Disk, unit_directory: &Path, unit: &UnitName) -> Option<PathBuf> {
    let own = read(disk, Path::new("/proc/self/cgroup"))?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/').to_owned();
    let mounts = read(disk, Path::new("/proc/self/mounts"))?;
    let mount = mounts.lines().map(|line| line.split(' ')).find_map(|mut fields| {
        let (place, kind) = (fields.nth(1)?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    })?;
    // A daemon that was itself started in such a group makes its units siblings, not children.
    let base = mount.join(own);
    Some(base.join(format!("omnivisor-{:08x}-{unit}", fingerprint(unit_directory))))
}

/// Removes the group of a unit whose shim was killed, which would have done it. Where somebody is still in one, the
/// kernel keeps it.
pub(super) fn remove(disk: &dyn Disk, unit_directory: &Path, unit: &UnitName) {
    if let Some(group) = of_unit(disk, unit_directory, unit)
        && !shim_lives(unit_directory)
    {
        // Most often there is none, and an empty one that stays harms nobody.
        let _ = disk.remove_directory(&group);
    }
}

/// The same for all units that ever were in this folder.
pub(crate) fn sweep(disk: &dyn Disk, units: &Path) {
    let names = disk.list(units).unwrap_or_default().into_iter();
    for unit in names.filter_map(|name| UnitName::new(name.to_str()?).ok()) {
        remove(disk, &units.join(unit.as_str()), &unit);
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Option<String> {
    disk.read(path, FILE_BYTES_MAX).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Tells nodes of one host apart (FNV-1a).
fn fingerprint(path: &Path) -> u32 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::SimDisk;
    use ov_sys::durable::{make_directories, replace};

    #[test]
    fn the_group_lies_below_our_own_in_the_version_2_tree() {
        let disk = SimDisk::new(1);
        make_directories(&disk, Path::new("/proc/self"), 0o755).unwrap();
        let mounts = b"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        replace(&disk, Path::new("/proc/self/mounts"), mounts, 0o644).unwrap();
        replace(&disk, Path::new("/proc/self/cgroup"), b"3:cpu:/x\n0::/system.slice/node.service\n", 0o644).unwrap();
        let found = of_unit(&disk, Path::new("/home/n/.omnivisor/units/main"), &UnitName::main()).unwrap();
        assert_eq!(found.parent().unwrap(), Path::new("/sys/fs/cgroup/unified/system.slice/node.service"));
        let other = of_unit(&disk, Path::new("/home/m/.omnivisor/units/main"), &UnitName::main()).unwrap();
        assert_ne!(found, other);
        make_directories(&disk, &found, 0o755).unwrap();
        make_directories(&disk, &other.join("somebody"), 0o755).unwrap();
        for home in ["/home/n", "/home/m", "/home/l"] {
            let units = Path::new(home).join(".omnivisor/units");
            make_directories(&disk, &units.join("main"), 0o755).unwrap();
            sweep(&disk, &units);
        }
        assert!(disk.facts(&found).unwrap().is_none() && disk.facts(&other).unwrap().is_some());
        replace(&disk, Path::new("/proc/self/cgroup"), b"3:cpu:/x\n", 0o644).unwrap();
        assert_eq!(of_unit(&disk, Path::new("/h"), &UnitName::main()), None);
    }
}
