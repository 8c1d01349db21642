//! Object names as users type and read them: `users`, `service/users`.

use coxswain::model::{ObjectKind, ObjectRef, ServiceName};

/// A service name, with or without the prefix `service/`.
pub(crate) fn service(text: &str) -> Result<ServiceName, String> {
    let name = match text.split_once('/') {
        Some(("service" | "services" | "svc", name)) => name,
        Some((kind, _)) => {
            return Err(format!("`{kind}` is not allowed here; write `service/NAME`"));
        }
        None => text,
    };
    ServiceName::parse(name).map_err(|error| error.to_string())
}

/// An object: `kind/name`, or the name of a service alone.
pub(crate) fn object(text: &str) -> Result<ObjectRef, String> {
    match text.parse::<ObjectRef>() {
        Ok(object) if object.kind != ObjectKind::Service => Ok(object),
        _ => service(text).map(|name| ObjectRef::from(&name)),
    }
}

/// The name of a service; `kind/name` for an object of another kind, which may have the name of a service.
pub(crate) fn short(object: &ObjectRef) -> String {
    if object.kind == ObjectKind::Service { object.name.clone() } else { object.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_accepts_names_with_and_without_kind() {
        for text in ["users", "service/users", "services/users"] {
            assert_eq!(service(text), Ok("users".into()), "{text}");
        }
        for text in ["", "Users", "route/users", "service/", "a/b/c"] {
            assert!(service(text).is_err(), "{text}");
            assert!(object(text).is_err(), "{text}");
        }
    }

    #[test]
    fn object_keeps_its_kind_and_is_a_service_without_one() {
        for (text, address, name) in [
            ("users", "service/users", "users"),
            ("svc/users", "service/users", "users"),
            ("gadget/users", "gadget/users", "gadget/users"),
        ] {
            let object = object(text).unwrap();
            assert_eq!((object.to_string().as_str(), short(&object).as_str()), (address, name));
        }
    }
}
