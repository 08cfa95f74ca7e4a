//! As much of Rust's grammar as the checks need: what is code, what is test code, where functions end.
//!
//! It works on text, not on syntax trees: fast, without dependencies, and right on formatted code.

/// The text with comments and the insides of literals blanked out; lines and offsets stay.
pub(crate) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = literal_or_comment(bytes, at) else {
            at += 1;
            continue;
        };
        let end = end.min(bytes.len());
        blank(&mut masked[at..end]);
        at = end;
    }
    String::from_utf8_lossy(&masked).into_owned()
}

/// Makes spaces of everything but line ends.
fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// The end of the literal or comment that begins at `at`, if one does.
fn literal_or_comment(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => Some(at + position(rest, b"\n").unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + block_comment(rest)),
        [b'"', ..] => Some(at + quoted(rest, b'"')),
        [b'\'', b'\\', ..] => Some(at + quoted(rest, b'\'')),
        [b'\'', ..] => char_literal(rest).map(|length| at + length),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest).map(|length| at + length),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw_string(&rest[1..]).map(|length| at + 1 + length),
        _ => None,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// `'x'` is a literal, `'x` a lifetime; the character may be several bytes long.
fn char_literal(rest: &[u8]) -> Option<usize> {
    const CHAR_BYTES_MAX: usize = 4;
    let close = rest.iter().skip(2).take(CHAR_BYTES_MAX).position(|byte| *byte == b'\'')? + 2;
    let one_char = std::str::from_utf8(&rest[1..close]).is_ok_and(|text| text.chars().count() == 1);
    one_char.then_some(close + 1)
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = 2 + hashes;
    Some(position(&rest[body..], &close).map_or(rest.len(), |at| body + at + close.len()))
}

fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The line of an offset, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The offset behind the item whose signature begins at `from`: its closing brace or semicolon.
fn item_end(masked: &str, from: usize) -> usize {
    let bytes = masked.as_bytes();
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// The masked text without items under `#[cfg(test)]`.
pub(crate) fn without_tests(masked: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut kept = masked.as_bytes().to_vec();
    for (start, _) in masked.match_indices(ATTRIBUTE) {
        let end = item_end(masked, start + ATTRIBUTE.len());
        blank(&mut kept[start..end]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    /// From the line with `fn` to the line of the closing brace.
    pub(crate) lines: usize,
}

/// Every function of a masked text, inner ones too.
pub(crate) fn functions(masked: &str) -> Vec<Function<'_>> {
    let starts = masked.match_indices("fn ").filter(|(at, _)| *at == 0 || !is_word(masked.as_bytes()[at - 1]));
    let functions = starts.filter_map(|(at, _)| {
        let rest = &masked[at + 3..];
        let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
        let end = item_end(masked, at);
        let has_body = masked.as_bytes().get(end - 1) == Some(&b'}');
        let line = line_of(masked, at);
        let lines = line_of(masked, end - 1) - line + 1;
        (length > 0 && has_body).then_some(Function { name: &rest[..length], line, lines })
    });
    functions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_code_stays() {
        let cases = [
            ("a // std::fs\nb", "a b"),
            ("a /* x /* y */ z */ b", "a b"),
            (r#"f("std::fs \" x", 1)"#, "f( , 1)"),
            (r##"f(r#"a " b"#, 1)"##, "f( , 1)"),
            (r#"f(b"x", br"y")"#, "f(b , )"),
            ("'a' '\\'' 'static b'x' c", "'static b c"),
            ("'ä' x", "x"),
            ("for<'a> &'a str", "for<'a> &'a str"),
            ("number\"x\"", "number"),
        ];
        for (text, code) in cases {
            let masked = mask(text);
            assert_eq!(masked.split_whitespace().collect::<Vec<_>>().join(" "), code, "{text}");
            assert_eq!(masked.len(), text.len());
            assert_eq!(masked.matches('\n').count(), text.matches('\n').count());
        }
    }

    #[test]
    fn test_items_are_left_out() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}\n";
        let kept = without_tests(&mask(text));
        let names: Vec<_> = functions(&kept).into_iter().map(|function| function.name).collect();
        assert_eq!(names, ["a", "c", "e"]);
        assert_eq!(kept.lines().count(), text.lines().count());
    }

    #[test]
    fn functions_have_names_and_lengths() {
        let text = "trait T {\n    fn declared(&self);\n    fn long(\n        a: [u8; 4],\n    ) -> u8 {\n        inner({ 1 })\n    }\n}\nlet f: fn (u8);\n";
        let masked = mask(text);
        assert_eq!(functions(&masked), [Function { name: "long", line: 3, lines: 5 }]);
    }
}
