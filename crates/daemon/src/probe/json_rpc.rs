//! Asks a JSON-RPC 1.0 service on a socket of this machine.
//!
//! Whoever wrote the service matched field names whatever their case, and so does whoever reads its answers. The HTTP status
//! says nothing: what counts is whether there is a result.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use ov_chains::shape::JsonRpcCall;
use serde_json::Value;

use super::http;

/// Bytes of a foreign error that are shown.
const SHOWN_MAX: usize = 200;

/// Calls a method without parameters, and gives its result, which is not null. The caller bounds the time.
pub(crate) async fn call(call: &JsonRpcCall) -> Result<Value, String> {
    let about = |why: String| format!("{} {why}", call.shown());
    let answer = http::post_to_socket(&call.socket, &call.path, request(&call.method)).await.map_err(about)?;
    result(&answer.body).map_err(about)
}

fn request(method: &str) -> Vec<u8> {
    // Some number that is not below zero when it is read as a signed one.
    let id = RandomState::new().build_hasher().finish() >> 1;
    format!("{{\"method\":{},\"params\":[null],\"id\":{id}}}", Value::from(method)).into_bytes()
}

fn result(body: &[u8]) -> Result<Value, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| format!("gives no JSON: {error}"))?;
    match find(&answer, "/error") {
        None | Some(Value::Null) => {}
        Some(Value::String(error)) => return Err(format!("answers with the error: {}", shown(error))),
        Some(error) => return Err(format!("answers with the error: {}", shown(&error.to_string()))),
    }
    match find(&answer, "/result") {
        None | Some(Value::Null) => Err("answers without a result".to_owned()),
        Some(result) => Ok(result.clone()),
    }
}

/// What stands at a place (RFC 6901), where the case of names does not matter: the very name first.
pub(crate) fn find<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    let mut places = pointer.split('/');
    // A pointer is empty, or begins with a slash.
    places.next().filter(|before| before.is_empty())?;
    places.try_fold(value, |value, name| {
        let name = name.replace("~1", "/").replace("~0", "~");
        let Value::Object(fields) = value else { return value.pointer(&format!("/{name}")) };
        let alike = || fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, value)| value);
        fields.get(&name).or_else(alike)
    })
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_request_is_written_as_its_services_know_it() {
        let text = String::from_utf8(request("a.B")).unwrap();
        let id = text.strip_prefix(r#"{"method":"a.B","params":[null],"id":"#).and_then(|rest| rest.strip_suffix('}'));
        assert!(id.is_some_and(|id| id.parse::<i64>().is_ok_and(|id| id >= 0)), "{text}");
    }

    #[test]
    fn only_a_result_is_an_answer() {
        assert_eq!(result(br#"{"result":{"a":1},"error":null,"id":7}"#), Ok(json!({"a": 1})));
        assert_eq!(result(br#"{"Result":false,"Error":null}"#), Ok(json!(false)));
        for (body, why) in [
            ("", "gives no JSON"),
            ("<html>", "gives no JSON"),
            ("{}", "without a result"),
            (r#"{"result":null,"error":null,"id":1}"#, "without a result"),
            (r#"{"result":null,"error":"it is\u0007 odd","id":1}"#, "answers with the error: it is odd"),
            (r#"{"result":{"a":1},"error":{"code":1}}"#, "answers with the error"),
            ("[]", "without a result"),
        ] {
            assert!(result(body.as_bytes()).is_err_and(|told| told.contains(why)), "{body}");
        }
    }

    #[test]
    fn names_are_found_whatever_their_case_and_the_very_one_first() {
        let value = json!({"Plan": {"tag": "loose", "Tag": "exact"}, "list": [1, 2], "a/b": 3});
        assert_eq!(find(&value, "/plan/Tag"), Some(&json!("exact")));
        assert_eq!(find(&value, "/LIST"), Some(&json!([1, 2])));
        assert_eq!((find(&value, "/list/1"), find(&value, "/a~1b")), (Some(&json!(2)), Some(&json!(3))));
        assert_eq!((find(&value, ""), find(&value, "plan"), find(&value, "/plan/x")), (Some(&value), None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), pointer in "[/a-z~01]{0,9}") {
            if let Ok(value) = result(&bytes) {
                let _ = find(&value, &pointer);
            }
        }
    }
}
