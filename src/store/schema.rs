//! The schema number that every stored object carries, written and read in one place.
//!
//! The number is a field of the object, `schema`. An object without it has the first schema, as does a bare value. A number
//! higher than this version knows is refused: fields that this version does not know would be lost with the next write.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::StoreError;

/// The schema that this version writes, and the highest that it reads.
pub const OBJECT_SCHEMA: u32 = 1;

/// The part of an object that is read before the rest.
#[derive(Debug, Deserialize)]
struct SchemaNumber {
    #[serde(default = "first")]
    schema: u32,
}

fn first() -> u32 {
    1
}

/// An object's JSON with its schema number.
pub(super) fn write<T: Serialize>(object: &T) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(object)?;
    let Some(fields) = json.strip_prefix(b"{") else { return Ok(json) };
    let comma = if fields == b"}" { "" } else { "," };
    let mut numbered = format!("{{\"schema\":{OBJECT_SCHEMA}{comma}").into_bytes();
    numbered.extend_from_slice(fields);
    Ok(numbered)
}

/// The object as the type that its key promises.
pub(super) fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    let unreadable =
        |error: serde_json::Error| StoreError::Decode { key: key.to_owned(), reason: error.to_string() };
    if value.first() == Some(&b'{') {
        let found = serde_json::from_slice::<SchemaNumber>(value).map_err(unreadable)?.schema;
        if found > OBJECT_SCHEMA {
            return Err(StoreError::ObjectTooNew { key: key.to_owned(), found, known: OBJECT_SCHEMA });
        }
    }
    serde_json::from_slice(value).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ResolvedImage, ServiceName};
    use std::collections::BTreeMap;

    fn image() -> ResolvedImage {
        ResolvedImage::without_config("users:1", "sha256:aa")
    }

    #[test]
    fn written_object_has_schema_number_and_reads_back() {
        let written = write(&image()).unwrap();
        assert!(written.starts_with(br#"{"schema":1,"reference""#), "{}", String::from_utf8_lossy(&written));
        assert_eq!(read("k", &written), Ok(image()));
        assert_eq!(write(&BTreeMap::<String, u8>::new()).unwrap(), br#"{"schema":1}"#);
        let name = ServiceName::from("users");
        assert_eq!(read("k", &write(&name).unwrap()), Ok(name), "a bare value has no number");
    }

    #[test]
    fn write_of_an_unencodable_object_is_an_error() {
        assert!(write(&BTreeMap::from([((1, 2), 3)])).is_err(), "JSON keys are strings");
    }

    #[test]
    fn object_without_number_is_first_schema() {
        assert_eq!(read("k", br#"{"reference":"users:1","pinned":"sha256:aa"}"#), Ok(image()));
    }

    #[test]
    fn later_schema_is_rejected_with_its_number() {
        let later = br#"{"schema":2,"reference":7}"#;
        let refused = read::<ResolvedImage>("services/users", later).unwrap_err();
        assert_eq!(refused.to_string(), "services/users has schema 2, this ctl knows up to 1");
        assert!(matches!(read::<ResolvedImage>("k", br#"{"schema":"x"}"#), Err(StoreError::Decode { .. })));
    }
}
