//! Write-once files without meaning, to give a data directory the size that a bench asks for.

use crate::error::Error;
use crate::files;
use crate::pattern::{Checker, Pattern};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const FILE_BYTES: u64 = 64 * 1024 * 1024;
const BUFFER_BYTES: usize = 1024 * 1024;

/// Adds whole files until the directory holds `total` bytes of them.
pub(crate) fn fill(blocks: &Path, total: u64) -> Result<(), Error> {
    let pattern = Pattern::new(true);
    for (number, size) in sizes(total) {
        let path = path_of(blocks, number);
        if !path.exists() {
            let temporary = path.with_extension("tmp");
            write(&pattern, &temporary, size)
                .and_then(|()| fs::rename(&temporary, &path))
                .map_err(Error::io("fill", &path))?;
        }
    }
    files::sync_directory(blocks)
}

/// What is wrong with the files, and how many there are.
pub(crate) fn check(blocks: &Path, problems: &mut Vec<String>) -> u64 {
    let files = (1..).map(|number| path_of(blocks, number)).take_while(|path| path.exists());
    let mut count = 0;
    for path in files {
        count += 1;
        match check_file(&path) {
            Ok(None) => {}
            Ok(Some(offset)) => problems.push(format!("`{}` is wrong at byte {offset}", path.display())),
            Err(error) => problems.push(format!("`{}` cannot be read: {error}", path.display())),
        }
    }
    count
}

fn sizes(total: u64) -> impl Iterator<Item = (u64, u64)> {
    let whole = total / FILE_BYTES;
    let rest = Some((whole + 1, total % FILE_BYTES)).filter(|(_, size)| *size > 0);
    (1..=whole).map(|number| (number, FILE_BYTES)).chain(rest)
}

fn path_of(blocks: &Path, number: u64) -> PathBuf {
    blocks.join(format!("bulk-{number:06}.sst"))
}

fn write(pattern: &Pattern, path: &Path, size: u64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).map_or(BUFFER_BYTES, |rest| rest.min(BUFFER_BYTES));
        pattern.fill(offset, &mut buffer[..length]);
        file.write_all(&buffer[..length])?;
        offset += length as u64;
    }
    file.sync_all()
}

fn check_file(path: &Path) -> std::io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let mut checker = Checker::new(true);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        if let Err(offset) = checker.feed(&buffer[..length]) {
            return Ok(Some(offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_is_repeatable_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            fill(folder.path(), 3_000_000).unwrap();
            let mut problems = Vec::new();
            assert_eq!(check(folder.path(), &mut problems), 1);
            assert_eq!(problems, Vec::<String>::new());
        }
        let path = path_of(folder.path(), 1);
        let mut bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 3_000_000);
        bytes[2_000_000] ^= 1;
        fs::write(&path, bytes).unwrap();
        let mut problems = Vec::new();
        check(folder.path(), &mut problems);
        assert!(problems[0].contains("byte 2000000"), "{problems:?}");
    }

    #[test]
    fn sizes_add_up() {
        let total = 2 * FILE_BYTES + 5;
        assert_eq!(sizes(total).map(|(_, size)| size).sum::<u64>(), total);
        assert_eq!(sizes(0).count(), 0);
    }
}
