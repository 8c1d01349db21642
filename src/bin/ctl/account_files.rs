//! Entries of `/etc/passwd` and `/etc/group`, which a static binary reads itself because it cannot use NSS. Pure.

/// The name of a user in `passwd`, or of a group in `group`, by its number.
pub(crate) fn name_of_id(text: &str, id: u32) -> Option<&str> {
    let id = id.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then_some(name)
    })
}

/// Whether there is a user or group of this name.
pub(crate) fn has_name(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.split(':').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_number_and_name() {
        let text = "root:x:0:\nodd\ncoxswain:x:998:ann,bob\n";
        assert_eq!(name_of_id(text, 998), Some("coxswain"));
        assert_eq!(name_of_id(text, 99), None);
        assert!(has_name(text, "coxswain") && !has_name(text, "cox"));
    }
}
