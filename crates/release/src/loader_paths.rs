//! Where the host's loader looks for libraries, read from its own settings.

use std::path::{Path, PathBuf};

use ov_sys::disk::Disk;

/// The largest settings file that is read.
const LEN_MAX: u64 = 1 << 20;
/// How deep settings may include others.
const DEPTH_MAX: usize = 8;
/// How many folders are searched.
const FOLDERS_MAX: usize = 256;

/// Folders of the loader that `interpreter` names, after those that a program and the environment ask for.
pub(crate) fn folders(disk: &dyn Disk, interpreter: &Path, triple: &str) -> Vec<PathBuf> {
    let file_name = interpreter.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(rest) = file_name.strip_prefix("ld-musl-") {
        let settings = format!("/etc/ld-musl-{}.path", rest.trim_end_matches(".so.1"));
        return match disk.read(Path::new(&settings), LEN_MAX) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).split([':', '\n']).filter_map(absolute).collect(),
            Err(_) => ["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from).to_vec(),
        };
    }
    let mut folders = Vec::new();
    include(disk, Path::new("/etc/ld.so.conf"), DEPTH_MAX, &mut folders);
    let of_triple = [format!("/lib/{triple}"), format!("/usr/lib/{triple}")];
    folders.extend(of_triple.map(PathBuf::from));
    folders.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
    folders.truncate(FOLDERS_MAX);
    folders
}

/// Adds the folders of one `ld.so.conf`. What cannot be read is left out, as the loader's own cache would.
fn include(disk: &dyn Disk, settings: &Path, depth_left: usize, folders: &mut Vec<PathBuf>) {
    let Ok(bytes) = disk.read(settings, LEN_MAX) else { return };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let included = line.strip_prefix("include").filter(|rest| rest.starts_with(char::is_whitespace));
        match included {
            Some(patterns) if depth_left > 0 => {
                for path in patterns.split_whitespace().flat_map(|pattern| matching(disk, settings, pattern)) {
                    include(disk, &path, depth_left - 1, folders);
                }
            }
            Some(_) => {}
            None => folders.extend(absolute(line)),
        }
        if folders.len() >= FOLDERS_MAX {
            return;
        }
    }
}

/// Files whose name fits the last component of a pattern with at most one `*`, which is all that is in use.
fn matching(disk: &dyn Disk, settings: &Path, pattern: &str) -> Vec<PathBuf> {
    let pattern = settings.parent().unwrap_or(Path::new("/")).join(pattern);
    let Some(last) = pattern.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let Some((before, after)) = last.split_once('*') else { return vec![pattern] };
    let folder = pattern.parent().unwrap_or(Path::new("/"));
    let names = disk.list(folder).unwrap_or_default().into_iter().filter_map(|name| name.into_string().ok());
    names
        .filter(|name| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after))
        .map(|name| folder.join(name))
        .collect()
}

fn absolute(text: &str) -> Option<PathBuf> {
    let text = text.trim();
    text.starts_with('/').then(|| PathBuf::from(text))
}
