//! Listings turned into objects, listing after listing: only what changed in between is decoded again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{Listing, StoreError};

/// Objects by key, with the revision that wrote them.
#[derive(Debug)]
pub struct Decoded<T>(BTreeMap<String, (u64, Arc<T>)>);

impl<T> Default for Decoded<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: DeserializeOwned> Decoded<T> {
    /// Takes over a later listing of the same prefix.
    ///
    /// # Errors
    /// An object that cannot be decoded. Nothing is remembered then, so that the next listing is decoded whole.
    pub fn refresh(&mut self, listing: Listing) -> Result<(), StoreError> {
        let mut before = std::mem::take(&mut self.0);
        for entry in listing.entries {
            let object = match before.remove(&entry.key) {
                Some((revision, object)) if revision == entry.mod_revision => object,
                _ => match entry.decode() {
                    Ok(object) => Arc::new(object),
                    Err(error) => {
                        self.0.clear();
                        return Err(error);
                    }
                },
            };
            self.0.insert(entry.key, (entry.mod_revision, object));
        }
        Ok(())
    }
}

impl<T> Decoded<T> {
    /// The objects, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.shared().map(|object| &**object)
    }

    /// As [`Decoded::iter`], to keep.
    pub fn shared(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values().map(|(_, object)| object)
    }

    /// The object at a key; `None` if there is none.
    pub fn get(&self, key: &str) -> Option<&Arc<T>> {
        self.0.get(key).map(|(_, object)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::super::StoreEntry;
    use super::*;

    fn listing(rows: &[(&str, u64, &str)]) -> Listing {
        let entry = |(key, revision, value): &(&str, u64, &str)| StoreEntry {
            key: (*key).to_owned(),
            value: value.as_bytes().to_vec(),
            create_revision: 1,
            mod_revision: *revision,
            version: 1,
            lease: None,
        };
        Listing { revision: 9, entries: rows.iter().map(entry).collect() }
    }

    #[test]
    fn refresh_decodes_only_changed_objects() {
        let mut decoded: Decoded<u32> = Decoded::default();
        decoded.refresh(listing(&[("a", 1, "1"), ("b", 2, "2"), ("c", 3, "3")])).unwrap();
        let first: Vec<Arc<u32>> = decoded.shared().cloned().collect();
        decoded.refresh(listing(&[("a", 1, "1"), ("b", 4, "20"), ("d", 5, "4")])).unwrap();
        assert_eq!(decoded.iter().collect::<Vec<_>>(), [&1, &20, &4]);
        assert!(Arc::ptr_eq(&first[0], decoded.get("a").unwrap()));
        assert!(decoded.get("c").is_none());
    }

    #[test]
    fn refresh_after_decode_error_decodes_all_objects() {
        let mut decoded: Decoded<u32> = Decoded::default();
        decoded.refresh(listing(&[("a", 1, "1")])).unwrap();
        assert!(decoded.refresh(listing(&[("a", 1, "1"), ("b", 2, "{")])).is_err());
        assert_eq!(decoded.iter().count(), 0, "no half of a listing is taken for the whole");
        decoded.refresh(listing(&[("a", 1, "1"), ("b", 3, "2")])).unwrap();
        assert_eq!(decoded.iter().collect::<Vec<_>>(), [&1, &2]);
    }
}
