//! Tags that mean another image by now than the one that serves: what an undo and a restart make of them. Pure.

use super::service::IMAGE;
use crate::controller::writes::object::{Object, ObjectChange, WriteStamp};
use crate::model::{Override, ResolvedImage, Service};

/// Keeps the digest that an undo went back to, although the text of the image is that of the manifest: the tag means another
/// image by now, which an apply of the same manifest must not roll out again.
pub(in crate::controller::writes) fn keep_digest(
    change: &mut ObjectChange,
    moved: &ResolvedImage,
    stamp: &WriteStamp<'_>,
) {
    let after = match &mut change.after {
        Object::Service(after) => after,
        #[cfg(any(test, feature = "testing"))]
        Object::Gadget(_) => return,
    };
    let kept = after.image.summary();
    let note = format!(
        "{} is another image by now ({}): an apply keeps {} until the manifest names another image, or until `ctl apply \
         --overwrite {IMAGE}` takes the new one",
        moved.reference,
        moved.short(),
        after.image.short()
    );
    change.notes.push(note);
    if after.overrides.iter().any(|over| over.field == IMAGE) {
        return;
    }
    let value = Some(serde_json::Value::from(kept));
    let by = stamp.by.clone();
    after.overrides.push(Override {
        field: IMAGE.to_owned(),
        old: value.clone(),
        new: value,
        by,
        at: stamp.at,
    });
    after.overrides.sort_by(|a, b| a.field.cmp(&b.field));
}

/// A note on a restart, which keeps the image.
pub(in crate::controller::writes) fn restarts_old(service: &Service, moved: &ResolvedImage) -> String {
    let ResolvedImage { reference, .. } = moved;
    let name = &service.metadata.name;
    format!(
        "{reference} is another image by now ({}), and a restart keeps {}; `ctl rollout {name} --image {reference}` takes the new \
         one",
        moved.short(),
        service.image.short()
    )
}
