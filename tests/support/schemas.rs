//! The JSON Schemas in `docs/schemas/`.

use std::{
    collections::HashMap,
    fs,
    sync::{Mutex, OnceLock},
};

use jsonschema::Validator;
use serde_json::Value;

/// Asserts that a value is valid against `docs/schemas/<name>.json`.
pub fn check(name: &str, value: &Value) {
    static VALIDATORS: OnceLock<Mutex<HashMap<String, &'static Validator>>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(Mutex::default);
    let validator =
        *validators.lock().unwrap().entry(name.to_owned()).or_insert_with(|| Box::leak(Box::new(load(name))));
    let errors: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "not valid against docs/schemas/{name}.json: {errors:#?}\n{value:#}");
}

fn load(name: &str) -> Validator {
    let path = super::repository(&format!("docs/schemas/{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}
