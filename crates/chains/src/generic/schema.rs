//! The JSON Schema of `omnivisor.toml`, made from the types that it is read into.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;

static SCHEMA: LazyLock<Value> = LazyLock::new(make);

/// The schema. Everything stands in its place: there are no references in it.
pub(crate) fn schema() -> &'static Value {
    &SCHEMA
}

fn make() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    adapt(&mut schema);
    schema
}

/// TOML has no null, and a key that is not listed is a mistake.
fn adapt(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if object.get("properties").is_some_and(Value::is_object) && object.contains_key("type") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            // What the file means by default stands at each key; at a section it would only repeat that.
            if object.get("type").is_some_and(|kind| kind == "object") {
                object.remove("default");
            }
            object.iter_mut().filter(|(key, _)| *key != "default").for_each(|(_, value)| adapt(value));
        }
        Value::Array(values) => values.iter_mut().for_each(adapt),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as _;

    /// Calls `visit` with every schema and its key.
    fn each<'a>(schema: &'a Value, key: &str, visit: &mut impl FnMut(&str, &'a Value)) {
        visit(key, schema);
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            each(below, &format!("{key}.{name}"), visit);
        }
        for name in ["additionalProperties", "items"] {
            if schema[name].is_object() {
                each(&schema[name], &format!("{key}.*"), visit);
            }
        }
    }

    #[test]
    fn every_key_says_what_it_means_and_of_what_type_it_is() {
        let mut keys = 0;
        each(schema(), "", &mut |key, schema| {
            assert!(schema["type"].is_string() || schema["type"].is_array(), "{key} has no type: {schema}");
            let named = !key.is_empty() && !key.ends_with(".*");
            assert!(!named || schema["description"].is_string(), "{key} has no description");
            assert!(schema["anyOf"].is_null() && schema["oneOf"].is_null() && schema["$ref"].is_null(), "{key}");
            keys += 1;
        });
        assert!(keys > 100, "only {keys} keys were visited");
    }

    #[test]
    fn every_word_of_the_schema_can_be_read() {
        let whole = |key: &str, word: &str| {
            let path: Vec<&str> = key.trim_start_matches('.').split('.').collect();
            let value = path.iter().rev().fold(serde_json::json!(word), |value, name| match *name {
                "*" => serde_json::json!({ "x": value }),
                name => serde_json::json!({ name: value }),
            });
            File::deserialize(value).map(drop)
        };
        let mut words = 0;
        each(schema(), "", &mut |key, schema| {
            for word in schema["enum"].as_array().into_iter().flatten().filter(|_| !key.contains("webhook")) {
                whole(key, word.as_str().unwrap()).unwrap_or_else(|error| panic!("{key} = {word}: {error}"));
                words += 1;
            }
        });
        assert!(words > 20, "only {words} words were tried");
    }

    #[test]
    fn what_is_left_out_has_the_default_that_the_schema_names() {
        let defaults = serde_json::to_value(File::default()).unwrap();
        let mut compared = 0;
        each(schema(), "", &mut |key, schema| {
            let pointer = key.replace('.', "/");
            if let (Some(named), Some(real)) = (schema.get("default"), defaults.pointer(&pointer)) {
                assert_eq!(named, real, "{key}");
                compared += 1;
            }
        });
        assert!(compared > 15, "only {compared} defaults were compared");
    }
}
