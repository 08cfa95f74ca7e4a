//! Lists of checksums: `hash  name` as GNU tools write them, `SHA256 (name) = hash` as BSD's do.

use super::checksum::Checksum;

/// The longest list that is read.
pub(super) const LEN_MAX: u64 = 4 << 20;

/// The first checksum in a list that is for a file by one of these names, or for a file without a name.
///
/// Lines that are nothing of the kind are passed over, as comments and signatures around the list are.
pub fn find_checksum(list: &str, names: &[String]) -> Option<Checksum> {
    list.lines().filter_map(parse_line).find(|(_, name)| name.is_none_or(|name| is_one_of(name, names))).map(|it| it.0)
}

/// A file of a release that says what another comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List<'n> {
    /// What it is called.
    pub(super) name: &'n str,
    /// Whether it is about the one file alone, and then need not name it.
    pub(super) is_of_one: bool,
}

impl List<'_> {
    /// What it says of a file.
    pub(super) fn find(&self, text: &str, file: &str) -> Option<Checksum> {
        let is_for = |name: Option<&str>| name.map_or(self.is_of_one, |name| is_one_of(name, &[file.to_owned()]));
        text.lines().filter_map(parse_line).find(|(_, name)| is_for(*name)).map(|it| it.0)
    }
}

/// Which files of a release may say what one of them comes to, by what publishers call such files: the best first.
pub(super) fn lists_for<'n>(file: &str, names: &[&'n str]) -> Vec<List<'n>> {
    const OF_ONE: [&str; 6] = ["sha256", "sha256sum", "sha256.txt", "sha512", "sha512sum", "sha512.txt"];
    const OF_ALL: [&str; 8] =
        ["sha256sums", "sha256sum", "sha256", "shasums256", "checksums", "checksum", "sha512sums", "sha512sum"];
    let behind = |name: &'n str| name.strip_prefix(file).and_then(|rest| rest.strip_prefix('.'));
    let of_one = OF_ONE.iter().filter_map(|end| names.iter().find(|name| behind(name) == Some(end)));
    let of_one = of_one.map(|name| List { name, is_of_one: true });
    // What begins with the name of another file is about that one.
    let is_of_another = |name: &str| {
        let others = names.iter().filter(|other| **other != name);
        others.filter_map(|other| name.strip_prefix(*other)).any(|rest| rest.starts_with('.'))
    };
    let rank = |name: &str| {
        let lower = name.to_lowercase();
        let stem = lower.strip_suffix(".txt").unwrap_or(&lower);
        OF_ALL.iter().position(|end| stem.ends_with(end))
    };
    let mut of_all: Vec<_> = names.iter().filter_map(|name| Some((rank(name)?, *name))).collect();
    of_all.retain(|(_, name)| !is_of_another(name));
    of_all.sort_unstable();
    of_one.chain(of_all.into_iter().map(|(_, name)| List { name, is_of_one: false })).collect()
}

fn parse_line(line: &str) -> Option<(Checksum, Option<&str>)> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    match parts[..] {
        [algorithm, name, "=", digits] => {
            let name = name.strip_prefix('(')?.strip_suffix(')')?;
            Some((Checksum::by_name(algorithm, digits).ok()?, Some(name)))
        }
        [digits, name] => Some((Checksum::by_length(digits).ok()?, Some(name))),
        [digits] => Some((Checksum::by_length(digits).ok()?, None)),
        _ => None,
    }
}

/// GNU tools mark files read as binary with `*`, and as portable with `?`.
fn is_one_of(found: &str, names: &[String]) -> bool {
    let plain = found.strip_prefix(['*', '?']).unwrap_or(found);
    let plain = plain.strip_prefix("./").unwrap_or(plain);
    names.iter().any(|name| !name.is_empty() && (name == plain || name == found))
}

/// By what names a list at `list` may call a file at `file`: its last part, the way from the list, the whole path.
pub(super) fn names_in_list(file: &str, list: &str) -> Vec<String> {
    let last = file.rsplit('/').next().unwrap_or_default().to_owned();
    let folder = list.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut names = vec![last];
    let inside = file.strip_prefix(folder).map(|rest| rest.trim_start_matches('/').to_owned());
    names.extend(inside);
    names.push(file.to_owned());
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn find(list: &str) -> Option<String> {
        let names = names_in_list("/dl/v2/linux/node.zip", "/dl/v2/SHA256SUMS");
        find_checksum(list, &names).map(|checksum| checksum.to_string())
    }

    #[test]
    fn a_file_is_found_by_every_name_that_lists_use() {
        let line = [
            "node.zip",
            "*node.zip",
            "?node.zip",
            "linux/node.zip",
            "./linux/node.zip",
            "*./linux/node.zip",
            "/dl/v2/linux/node.zip",
        ];
        for name in line {
            let gnu = format!("# sums\n{OTHER}  other.zip\n\n{SHA256}  {name}\r\n");
            assert_eq!(find(&gnu), Some(format!("sha256:{SHA256}")), "{name}");
            let bsd = format!("SHA256 (other.zip) = {OTHER}\nSHA256 ({name}) = {SHA256}");
            assert_eq!(find(&bsd), Some(format!("sha256:{SHA256}")), "{name}");
        }
        assert_eq!(find(&format!("{SHA256}\n")), Some(format!("sha256:{SHA256}")), "the only line of a list");
    }

    #[test]
    fn other_files_and_other_lines_do_not_count() {
        for list in [
            format!("{SHA256}  node.zip.asc\n"),
            format!("{SHA256}  linux/arm/node.zip\n"),
            format!("{SHA256} node.zip extra\n"),
            format!("SHA256 node.zip = {SHA256}\n"),
            format!("CRC32 (node.zip) = {SHA256}\n"),
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(find(&list), None, "{list}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list(text in any::<String>(), name in any::<String>()) {
            let _ = find_checksum(&text, &names_in_list(&name, &text));
        }
    }
}
