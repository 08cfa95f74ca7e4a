//! Values in answers: finds them, compares them, and says what is wrong with them. Pure.

use std::cmp::Ordering;

use ov_chains::shape::Comparison;
use ov_types::Height;
use serde_json::Value;

/// Characters of a foreign value that are shown.
const SHOWN_MAX: usize = 80;

/// What stands at a place (RFC 6901) of a JSON text.
pub(super) fn find(body: &[u8], pointer: &str) -> Result<Value, String> {
    let mut document: Value =
        serde_json::from_slice(body).map_err(|error| format!("its answer is not JSON: {error}"))?;
    match document.pointer_mut(pointer).map(Value::take) {
        None | Some(Value::Null) => Err(format!("its answer has nothing at `{pointer}`")),
        Some(value) => Ok(value),
    }
}

/// What stands at a place, if it is as expected.
pub(super) fn expected(body: &[u8], pointer: &str, expect: Option<&Comparison>) -> Result<String, String> {
    let value = find(body, pointer)?;
    let is = format!("`{pointer}` is {}", shown(&value));
    let (good, expected) = match expect {
        None => return Ok(is),
        Some(Comparison::Is(other)) => (same(&value, other), shown(other)),
        Some(Comparison::IsNot(other)) => (!same(&value, other), format!("anything but {}", shown(other))),
        Some(Comparison::AtLeast(bound)) => {
            (compared(&value, *bound).is_some_and(Ordering::is_ge), format!("at least {bound}"))
        }
        Some(Comparison::AtMost(bound)) => {
            (compared(&value, *bound).is_some_and(Ordering::is_le), format!("at most {bound}"))
        }
    };
    if good { Ok(is) } else { Err(format!("{is}, expected {expected}")) }
}

/// Text and number are the same when they are written alike: many nodes send 64-bit numbers as text.
fn same(a: &Value, b: &Value) -> bool {
    a == b || written(a).zip(written(b)).is_some_and(|(a, b)| a == b)
}

/// How a number, or a text that is one, compares to the bound.
fn compared(value: &Value, bound: i64) -> Option<Ordering> {
    if let Some(whole) = whole(value) {
        return Some(whole.cmp(&bound.into()));
    }
    let number: f64 = written(value)?.trim().parse().ok().filter(|number: &f64| number.is_finite())?;
    #[expect(clippy::cast_precision_loss, reason = "a fraction near 2^53 is not a measure of anything")]
    number.partial_cmp(&(bound as f64))
}

/// The height that a value is.
pub(super) fn height(value: &Value) -> Result<Height, String> {
    let height = whole(value).and_then(|whole| u64::try_from(whole).ok());
    height.map(Height).ok_or_else(|| format!("{} is not a height", shown(value)))
}

/// A whole number, or a text that is one; also with the `0x` of the Ethereum family.
fn whole(value: &Value) -> Option<i128> {
    let text = written(value)?;
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// How a single value is written; `None` for lists and objects.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn shown(value: &Value) -> String {
    format!("`{}`", clean(&written(value).unwrap_or_else(|| value.to_string())))
}

/// The first line of a foreign text, short enough for a message.
pub(super) fn clean(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default().trim_end();
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    if line.chars().count() > SHOWN_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(value: &Value, expect: &Comparison) -> bool {
        expected(json!({"a": {"b": value}}).to_string().as_bytes(), "/a/b", Some(expect)).is_ok()
    }

    #[test]
    fn values_are_compared_however_they_are_written() {
        use Comparison::{AtLeast, AtMost, Is, IsNot};
        for (value, expect, good) in [
            (json!(false), Is(json!(false)), true),
            (json!(true), Is(json!(false)), false),
            (json!("false"), Is(json!(false)), true),
            (json!("17"), Is(json!(17)), true),
            (json!(17), IsNot(json!("17")), false),
            (json!("ok"), Is(json!("ok")), true),
            (json!([1]), Is(json!([1])), true),
            (json!([1]), IsNot(json!(1)), true),
            (json!("18446744073709551616"), AtLeast(5), true),
            (json!(5), AtLeast(5), true),
            (json!("4"), AtLeast(5), false),
            (json!("0x10"), AtMost(16), true),
            (json!(-3), AtMost(-2), true),
            (json!(0.5), AtMost(0), false),
            (json!("0.5"), AtLeast(0), true),
            (json!("inf"), AtLeast(0), false),
            (json!("many"), AtMost(0), false),
            (json!({}), AtLeast(0), false),
        ] {
            assert_eq!(check(&value, &expect), good, "{value} {expect:?}");
        }
    }

    #[test]
    fn a_bad_answer_says_where_and_what() {
        let why = |body: &str, expect| expected(body.as_bytes(), "/x", expect).unwrap_err();
        assert_eq!(why(r#"{"x":true}"#, Some(&Comparison::Is(json!(false)))), "`/x` is `true`, expected `false`");
        assert_eq!(why(r#"{"x":2}"#, Some(&Comparison::AtLeast(3))), "`/x` is `2`, expected at least 3");
        assert_eq!(why(r#"{"y":2}"#, None), "its answer has nothing at `/x`");
        assert_eq!(why(r#"{"x":null}"#, None), "its answer has nothing at `/x`");
        assert!(why("<html>", None).starts_with("its answer is not JSON: "));
        let long = json!({"x": "y".repeat(1000)}).to_string();
        assert!(why(&long, Some(&Comparison::Is(json!(1)))).len() < 150);
    }

    #[test]
    fn heights_are_whole_and_not_negative() {
        for (value, expected) in [(json!(7), 7), (json!(" 7 "), 7), (json!("0x1F"), 31), (json!(u64::MAX), u64::MAX)] {
            assert_eq!(height(&value), Ok(Height(expected)));
        }
        for value in [json!(-1), json!(1.5), json!("soon"), json!(""), json!("18446744073709551616"), json!([7])] {
            assert!(height(&value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_judging_panic(body in proptest::collection::vec(any::<u8>(), 0..100), pointer in ".{0,20}") {
            let _ = expected(&body, &pointer, Some(&Comparison::AtLeast(0)));
            let _ = clean(&String::from_utf8_lossy(&body));
        }

        #[test]
        fn bounds_mean_what_they_say(value: i64, bound: i64) {
            prop_assert_eq!(check(&json!(value), &Comparison::AtLeast(bound)), value >= bound);
            prop_assert_eq!(check(&json!(value.to_string()), &Comparison::AtMost(bound)), value <= bound);
        }
    }
}
