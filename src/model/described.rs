//! Closed lists that are shown to people: what each word means is written once, as its doc comment, and can be asked for.

/// An enum without data whose variants are listed with their doc comments: a variant without one does not compile.
macro_rules! described {
    (
        $(#[$outer:meta])*
        pub enum $name:ident { $( $(#[doc = $doc:literal])+ $(#[serde($with:ident)])? $variant:ident, )+ }
    ) => {
        $(#[$outer])*
        pub enum $name { $( $(#[doc = $doc])+ $(#[serde($with)])? $variant, )+ }

        impl $name {
            /// All, each with what it means.
            pub const ALL: &'static [(Self, &'static str)] =
                &[$( (Self::$variant, concat!($($doc),+)) ),+];
        }
    };
}
pub(super) use described;
