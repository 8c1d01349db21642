//! Parses object names as users type them: `users`, `service/users`.

use coxswain::model::ServiceName;

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
        }
    }
}
