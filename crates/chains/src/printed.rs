//! Answers that programs print: JSON, perhaps among lines that libraries of theirs wrote.

use serde_json::Value;

/// So many braces in what a program prints are taken for the beginning of its answer.
const BEGINNINGS_MAX: usize = 64;

/// What stands at a place (RFC 6901) of the first JSON object in a text that has something there.
pub fn value_within(text: &str, pointer: &str) -> Option<Value> {
    let beginnings = text.match_indices('{').map(|(at, _)| at).take(BEGINNINGS_MAX);
    let mut objects = beginnings.filter_map(|at| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.next()?.ok()
    });
    objects.find_map(|mut object| object.pointer_mut(pointer).map(Value::take).filter(|value| !value.is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_found_among_other_lines() {
        let find = |text: &str| value_within(text, "/version");
        assert_eq!(find(r#"{"version":"v1","hash":"x"}"#), Some(json!("v1")));
        assert_eq!(find("{odd}\nwarn {\"a\":1}\n{\"version\":\"v1\"}\ndone"), Some(json!("v1")));
        for nothing in ["", "v1", "{", r#"{"version":null}"#, r#"{"hash":"x"}"#] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_looking_panic(text in ".{0,200}", pointer in "[/a-z~01]{0,9}") {
            let _ = value_within(&text, &pointer);
        }
    }
}
