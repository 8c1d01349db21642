//! What a run on the real Engine makes and takes away again: its id, its image, its sweep.
//!
//! Nothing is pulled: the image holds the static example binary `hello` and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use bollard::Docker;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions,
};
use coxswain::clock::{Clock, RealClock};
use coxswain::engine::{DockerEngine, Engine, LABEL_STORE};
use futures::StreamExt;

/// Path of the Engine's socket: `DOCKER_HOST` where it names one, else Docker's own place.
pub(crate) fn socket() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned()
}

/// The Engine under test. These tests are worth nothing without one, so they fail.
pub(crate) async fn engine() -> DockerEngine {
    let engine = DockerEngine::new(&socket());
    match engine.info().await {
        Ok(_) => engine,
        Err(error) => panic!("these tests need a running Docker Engine: {error}"),
    }
}

/// The client library, for what the product does not ask of Docker.
pub(crate) fn client() -> Docker {
    Docker::connect_with_unix(&socket(), 60, bollard::API_DEFAULT_VERSION)
        .unwrap_or_else(|error| panic!("these tests need a running Docker Engine: {error}"))
}

/// One run of a test: everything it makes carries its id, and is removed when this is dropped, panic or not.
pub(crate) struct Run {
    id: String,
    stores: Mutex<Vec<String>>,
    images: Mutex<Vec<String>>,
}

impl Run {
    /// A run of its own.
    pub(crate) fn start() -> Self {
        let id = format!("t{:010x}", RealClock::new().random() & 0xff_ffff_ffff);
        let run = Self { id, stores: Mutex::default(), images: Mutex::default() };
        run.sweep_store(&run.id);
        run
    }

    /// Its id: fits in names, and is the value of the label [`LABEL_STORE`] on what the test makes itself.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The labels of what the test makes itself.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(LABEL_STORE.to_owned(), self.id.clone())])
    }

    /// Also sweeps the containers and networks with this store's UUID: for a test that runs the whole daemon.
    pub(crate) fn sweep_store(&self, uuid: &str) {
        self.stores.lock().unwrap().push(uuid.to_owned());
    }

    /// Also removes this image.
    pub(crate) fn sweep_image(&self, reference: &str) {
        self.images.lock().unwrap().push(reference.to_owned());
    }

    /// Builds `hello:<run>-<version>`, which answers with that version, and returns the reference.
    pub(crate) async fn hello(&self, version: &str) -> String {
        self.hello_with(version, "").await
    }

    /// The same with further instructions in its Dockerfile.
    pub(crate) async fn hello_with(&self, version: &str, instructions: &str) -> String {
        let reference = format!("hello:{}-{version}", self.id);
        let dockerfile = format!("{}{instructions}\n", include_str!("../../examples/hello/Dockerfile"));
        let context = tar(&[
            ("Dockerfile", 0o644, dockerfile.as_bytes()),
            ("hello", 0o755, &std::fs::read(hello_binary()).unwrap()),
        ]);
        let options = BuildImageOptionsBuilder::new()
            .t(&reference)
            .buildargs(&HashMap::from([("VERSION", version)]))
            // Without it two runs would share one image, and its tags.
            .labels(&HashMap::from([(LABEL_STORE, self.id())]))
            // Nor may it build on another's steps, which go when the other is swept.
            .nocache(true)
            .rm(true)
            .build();
        self.sweep_image(&reference);
        let docker = client();
        let mut progress = docker.build_image(options, None, Some(bollard::body_full(context.into())));
        while let Some(step) = progress.next().await {
            let step = step.unwrap();
            assert!(step.error_detail.is_none(), "building {reference}: {:?}", step.error_detail);
        }
        reference
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let stores = std::mem::take(&mut *self.stores.lock().unwrap());
        let images = std::mem::take(&mut *self.images.lock().unwrap());
        // A test's own runtime may be gone or busy unwinding, so the sweep has its own.
        let swept = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(sweep(&client(), &stores, &images));
        });
        if swept.join().is_err() && !std::thread::panicking() {
            panic!("the run's objects could not be removed");
        }
    }
}

async fn sweep(docker: &Docker, stores: &[String], images: &[String]) {
    for store in stores {
        let filters = HashMap::from([("label", vec![format!("{LABEL_STORE}={store}")])]);
        let all = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        for container in docker.list_containers(Some(all)).await.unwrap() {
            let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removed = docker.remove_container(&container.id.unwrap(), Some(force)).await;
            unless_gone(removed);
        }
        let ours = ListNetworksOptionsBuilder::new().filters(&filters).build();
        for network in docker.list_networks(Some(ours)).await.unwrap() {
            match docker.remove_network(&network.id.unwrap()).await {
                // Docker 20.10 sometimes loses count of a network's endpoints; only its restart frees it then.
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 403, message })
                    if message.contains("has active endpoints") => {}
                other => unless_gone(other),
            }
        }
        let ours = ListVolumesOptionsBuilder::new().filters(&filters).build();
        for volume in docker.list_volumes(Some(ours)).await.unwrap().volumes.unwrap_or_default() {
            unless_gone(docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await);
        }
    }
    for image in images {
        let force = RemoveImageOptionsBuilder::new().force(true).build();
        unless_gone(docker.remove_image(image, Some(force), None).await.map(|_| ()));
    }
}

fn unless_gone(result: Result<(), bollard::errors::Error>) {
    match result {
        Ok(()) => {}
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Builds the example once per process; Cargo does nothing if it is up to date.
fn hello_binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    // As this program itself was built: a measurement wants the service as fast as the rest.
    let (profile, options) = match cfg!(debug_assertions) {
        true => ("debug", &[][..]),
        false => ("release", &["--release"][..]),
    };
    let build = || {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", "hello"])
            .args(options)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(built.success(), "the example `hello` does not build");
        // This test is target/<triple>/<profile>/deps/engine-<hash>.
        let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        target.join(profile).join("examples/hello")
    };
    BINARY.get_or_init(build).clone()
}

/// A tar archive (ustar) of regular files.
fn tar(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut archive = Vec::new();
    for (name, mode, content) in files {
        let mut header = [0u8; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", content.len()));
        put(136, "00000000000");
        put(148, "        "); // the checksum counts itself as spaces
        put(156, "0");
        put(257, "ustar");
        put(263, "00");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}
