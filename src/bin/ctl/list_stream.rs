//! Complete lists of a kind, again whenever they change, as a stream that survives a restart of the daemon: what changed
//! meanwhile follows from the list that a reopened one begins with.

use std::marker::PhantomData;

use coxswain::api::client::{ApiClient, ObjectStream};
use coxswain::api::types::{ApiError, List, ListedObject};

use crate::reconnect::StreamSource;

pub(crate) struct ListSource<T> {
    client: ApiClient,
    item: PhantomData<fn() -> T>,
}

impl<T> ListSource<T> {
    pub(crate) fn new(client: &ApiClient) -> Self {
        Self { client: client.clone(), item: PhantomData }
    }
}

impl<T: ListedObject> StreamSource for ListSource<T> {
    type Item = List<T>;

    async fn open(&mut self) -> Result<ObjectStream<List<T>>, ApiError> {
        self.client.watch().await
    }
}
