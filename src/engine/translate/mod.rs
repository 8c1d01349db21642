//! The project's types to Docker's and back, a file per object. Pure.

mod container;
mod container_options;
mod event;
mod image;
mod labels;
mod network;
mod one_off;
mod path;
mod volume;

pub(super) use container::{container, endpoint, observed};
pub(super) use event::event;
pub(super) use image::image;
pub(super) use network::{network, observed_network, subnets};
pub(super) use one_off::one_off;
pub(super) use path::fits_a_path;
pub(super) use volume::{observed_volume, volume};
