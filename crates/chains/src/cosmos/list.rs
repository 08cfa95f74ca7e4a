//! Lists of upgrades as people give them to `add-batch-upgrade`: a CSV file, or words on the command line.
//!
//! Pure text in, entries out; nothing is looked up. A list is read whole or not at all.

/// One upgrade of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpgrade {
    /// Its name, letter for letter.
    pub name: String,
    /// The executable.
    pub path: String,
    /// When it is due.
    pub height: i64,
}

/// Why a text is not a list of upgrades.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidList {
    /// Not three parts.
    #[error("argument at position {0} ({1}) is invalid")]
    Parts(usize, String),
    /// Not a height.
    #[error("upgrade height at position {0} ({1}) is invalid")]
    Height(usize, String),
    /// A line does not have three fields.
    #[error("record on line {line}: wrong number of fields")]
    Fields {
        /// Which, counted from 1.
        line: usize,
    },
    /// A quotation mark stands where none may, or is never closed.
    #[error("record on line {line}: a quotation mark stands alone")]
    Quote {
        /// Which, counted from 1.
        line: usize,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// There is nothing in it.
    #[error("it names no upgrade")]
    Empty,
}

/// Reads `name:path:height,name:path:height`.
pub fn parse_inline(text: &str) -> Result<Vec<ListedUpgrade>, InvalidList> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let read = words.enumerate().map(|(position, word)| match word.split(':').collect::<Vec<_>>().as_slice() {
        [name, path, height] => entry(position, name, path, height),
        _ => Err(InvalidList::Parts(position, word.to_owned())),
    });
    some(read.collect::<Result<_, _>>()?)
}

/// Reads lines of `name,path,height` without a heading.
pub fn parse_csv(bytes: &[u8]) -> Result<Vec<ListedUpgrade>, InvalidList> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidList::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = records(text)?.into_iter().enumerate().map(|(position, (line, fields))| match fields.as_slice() {
        [name, path, height] => entry(position, name, path, height),
        _ => Err(InvalidList::Fields { line }),
    });
    some(read.collect::<Result<_, _>>()?)
}

fn some(entries: Vec<ListedUpgrade>) -> Result<Vec<ListedUpgrade>, InvalidList> {
    if entries.is_empty() { Err(InvalidList::Empty) } else { Ok(entries) }
}

fn entry(position: usize, name: &str, path: &str, height: &str) -> Result<ListedUpgrade, InvalidList> {
    let number = height.trim().parse().ok().filter(|height: &i64| *height > 0);
    let number = number.ok_or_else(|| InvalidList::Height(position, height.to_owned()))?;
    Ok(ListedUpgrade { name: name.trim().to_owned(), path: path.trim().to_owned(), height: number })
}

/// The records of a CSV text (RFC 4180, blanks before a field skipped) with the lines they begin on. Empty lines are
/// none.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, InvalidList> {
    let mut records = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let begin = line;
        let mut fields = Vec::new();
        loop {
            let (field, tail) = field(rest, begin)?;
            line += rest[..rest.len() - tail.len()].matches('\n').count();
            fields.push(field);
            rest = tail;
            match rest.strip_prefix(',') {
                Some(tail) => rest = tail,
                None => break,
            }
        }
        rest = match rest.strip_prefix('\n') {
            Some(tail) => {
                line += 1;
                tail
            }
            None => rest,
        };
        if !matches!(fields.as_slice(), [only] if only.is_empty()) {
            records.push((begin, fields));
        }
    }
    Ok(records)
}

/// One field, and what follows it: a comma, the end of the line, or nothing.
fn field(text: &str, line: usize) -> Result<(String, &str), InvalidList> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(mut rest) = text.strip_prefix('"') else {
        let (field, rest) = text.split_at(text.find([',', '\n']).unwrap_or(text.len()));
        let stray = field.contains('"');
        return if stray { Err(InvalidList::Quote { line }) } else { Ok((field.trim_end().to_owned(), rest)) };
    };
    let mut value = String::new();
    loop {
        let end = rest.find('"').ok_or(InvalidList::Quote { line })?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(tail) => {
                value.push('"');
                rest = tail;
            }
            None => break,
        }
    }
    let rest = rest.trim_start_matches([' ', '\t', '\r']);
    if rest.is_empty() || rest.starts_with([',', '\n']) { Ok((value, rest)) } else { Err(InvalidList::Quote { line }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upgrade(name: &str, path: &str, height: i64) -> ListedUpgrade {
        ListedUpgrade { name: name.to_owned(), path: path.to_owned(), height }
    }

    #[test]
    fn words_are_read_or_the_wrong_one_is_named() {
        let two = vec![upgrade("v2", "/bin/v2", 100), upgrade("v3", "/bin/v3", 200)];
        assert_eq!(parse_inline("v2:/bin/v2:100,v3:/bin/v3:200"), Ok(two));
        for (text, why) in [
            ("v2:/bin/v2", "argument at position 0 (v2:/bin/v2) is invalid"),
            ("v2:/b:1,v3:/c:d:2", "argument at position 1 (v3:/c:d:2) is invalid"),
            ("v2:/b:soon", "upgrade height at position 0 (soon) is invalid"),
            ("v2:/b:1,v3:/b:-1", "upgrade height at position 1 (-1) is invalid"),
            ("", "it names no upgrade"),
            (",", "it names no upgrade"),
        ] {
            assert_eq!(parse_inline(text).map_err(|error| error.to_string()), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn lines_are_read_quoted_or_not() {
        let text = "v2,/bin/v2,100\r\n\n \"v 3\", \"/a,\"\"b\"\"\" ,200\nv4,/bin/v4,300";
        let three = vec![upgrade("v2", "/bin/v2", 100), upgrade("v 3", "/a,\"b\"", 200), upgrade("v4", "/bin/v4", 300)];
        assert_eq!(parse_csv(text.as_bytes()), Ok(three.clone()));
        assert_eq!(parse_csv(format!("\u{feff}{text}\n").as_bytes()), Ok(three));
        for (text, why) in [
            ("v2,/b", "record on line 1: wrong number of fields"),
            ("a,b,1\n\nv2,/b,3,4", "record on line 3: wrong number of fields"),
            ("a,b,1\nv2,/b,x", "upgrade height at position 1 (x) is invalid"),
            ("a,\"b,1\n", "record on line 1: a quotation mark stands alone"),
            ("a,b\"c,1\n", "record on line 1: a quotation mark stands alone"),
            ("a,\"b\"c,1\n", "record on line 1: a quotation mark stands alone"),
            ("\"a\nb\",c,1\nx", "record on line 3: wrong number of fields"),
            ("\n\n", "it names no upgrade"),
        ] {
            assert_eq!(parse_csv(text.as_bytes()).map_err(|error| error.to_string()), Err(why.to_owned()), "{text:?}");
        }
        assert_eq!(parse_csv(b"\xff"), Err(InvalidList::NotText));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[a,:\" \n1\r]{0,30}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse_inline(&text);
            let _ = parse_csv(text.as_bytes());
            let _ = parse_csv(&bytes);
        }

        #[test]
        fn every_list_comes_back_from_csv(
            entries in proptest::collection::vec(("[!-~ä]{1,8}", "[!-~]{1,8}", 1_i64..), 1..5),
        ) {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let lines = entries.iter().map(|(name, path, height)| format!("{},{},{height}\n", quoted(name), quoted(path)));
            let text: String = lines.collect();
            let expected: Vec<_> = entries.iter().map(|(name, path, height)| upgrade(name, path, *height)).collect();
            prop_assert_eq!(parse_csv(text.as_bytes()), Ok(expected));
        }
    }
}
