//! From options to running servers on a thread of their own, and back.

use std::fs::{self, DirBuilder, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::server::{Plane, accept};
use super::state::{Paths, SLOT_VARIABLE, replace};
use super::world::{Shared, World};
use super::{Options, Running, SandboxError, Urls, consumers};

/// The most replicas that make sense on one machine.
const MOST_REPLICAS: usize = 32;

/// The ports of the last start, so that addresses survive a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ports {
    admin: u16,
    control: u16,
    data: Vec<u16>,
}

struct Listeners {
    admin: TcpListener,
    control: TcpListener,
    data: Vec<TcpListener>,
}

/// Starts everything; returns when every address accepts connections.
pub(super) fn start(options: Options) -> Result<Running, SandboxError> {
    check(&options)?;
    folder(&options.dir)?;
    let paths = Paths::new(&options.dir);
    let lock = lock(&options.dir, &paths)?;
    folder(&paths.log_dir())?;
    folder(&paths.store_dir())?;
    let world = World::open(&options, &paths)?;
    replace(&paths.admin_key(), world.state.admin_key.as_bytes())?;
    first_slot(&world, &paths)?;
    let (listeners, urls) = listen(&options, &paths)?;

    let (stop, stopping) = watch::channel(false);
    let (done, finished) = watch::channel(false);
    let shared = Shared::new(world, urls.clone(), options, &paths, stop.clone());
    let shared = Arc::new(shared);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| SandboxError::system("make the sandbox's runtime", &why))?;
    let thread = std::thread::Builder::new()
        .name("sandbox".to_owned())
        .spawn(move || {
            let outcome = runtime.block_on(run(&shared, listeners, stopping));
            drop(runtime);
            drop(shared);
            drop(lock);
            done.send_replace(true);
            outcome
        })
        .map_err(|why| SandboxError::system("start the sandbox's thread", &why))?;
    Ok(Running { urls, admin_key_file: paths.admin_key(), stop, finished, thread: Some(thread) })
}

fn check(options: &Options) -> Result<(), SandboxError> {
    if !options.listen.ip().is_loopback() {
        return Err(SandboxError::NotLoopback { address: options.listen });
    }
    let wrong = |option: &'static str, why: &str| Err(SandboxError::Option { option, why: why.to_owned() });
    if options.replicas == 0 || options.replicas > MOST_REPLICAS {
        return wrong("replicas", "it must be 1 to 32");
    }
    if !(0.01..=100.0).contains(&options.rate) {
        return wrong("rate", "it must be between 0.01 and 100");
    }
    Ok(())
}

fn folder(path: &Path) -> Result<(), SandboxError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|why| SandboxError::file("make the folder", path, &why))
}

/// One sandbox per folder; the system frees the lock when the process dies.
fn lock(dir: &Path, paths: &Paths) -> Result<File, SandboxError> {
    let path = paths.lock();
    let open = File::options().write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(|why| SandboxError::file("open", &path, &why))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SandboxError::FolderTaken { dir: dir.to_path_buf() }),
        Err(fs::TryLockError::Error(why)) => Err(SandboxError::file("lock", &path, &why)),
    }
}

/// The slot that consumers read, with a line that is none of the rotation's business.
fn first_slot(world: &World, paths: &Paths) -> Result<(), SandboxError> {
    let path = paths.slot();
    if path.exists() {
        return Ok(());
    }
    let secret = world.state.first_secret().unwrap_or_default();
    let text = format!("# read by the sandbox's consumers\nLOG_LEVEL=info\n{SLOT_VARIABLE}={secret}\n");
    replace(&path, text.as_bytes())
}

fn listen(options: &Options, paths: &Paths) -> Result<(Listeners, Urls), SandboxError> {
    let saved = fs::read(paths.ports()).unwrap_or_default();
    let saved: Ports = serde_json::from_slice(&saved).unwrap_or_default();
    let bind = |wished: u16| -> Result<(TcpListener, SocketAddr), SandboxError> {
        let at = |port| SocketAddr::new(options.listen.ip(), port);
        let listener = TcpListener::bind(at(wished)).or_else(|_| TcpListener::bind(at(0)));
        let listener = listener.and_then(|one| one.set_nonblocking(true).map(|()| one));
        let listener = listener.map_err(|why| SandboxError::system("listen on loopback", &why))?;
        let address = listener.local_addr();
        let address = address.map_err(|why| SandboxError::system("read an address", &why))?;
        Ok((listener, address))
    };
    let wished = match options.listen.port() {
        0 => saved.admin,
        port => port,
    };
    let (admin, admin_at) = bind(wished)?;
    if options.listen.port() != 0 && admin_at.port() != wished {
        return Err(SandboxError::system("listen on the port that was asked for", &"it is taken"));
    }
    let (control, control_at) = bind(saved.control)?;
    let mut data = Vec::new();
    let mut data_at = Vec::new();
    for replica in 0..options.replicas {
        let wished = saved.data.get(replica).copied().unwrap_or(0);
        let (listener, address) = bind(wished)?;
        data.push(listener);
        data_at.push(address);
    }
    let ports = Ports { admin: admin_at.port(), control: control_at.port(), data: data_at.iter().map(SocketAddr::port).collect() };
    let bytes = serde_json::to_vec(&ports).unwrap_or_default();
    replace(&paths.ports(), &bytes)?;
    let urls = Urls {
        admin: format!("http://{admin_at}"),
        data: data_at.iter().map(|at| format!("http://{at}")).collect(),
        control: format!("http://{control_at}"),
        log: paths.log_dir(),
        store: paths.slot(),
    };
    let listeners = Listeners { admin, control, data };
    Ok((listeners, urls))
}

/// Serves until told to stop: first the consumers end, then the servers, then the log is flushed.
async fn run(shared: &Arc<Shared>, listeners: Listeners, mut stopping: watch::Receiver<bool>) -> Result<(), SandboxError> {
    let (close, closing) = watch::channel(false);
    let serve = |listener: TcpListener, plane: Plane| -> Result<(), SandboxError> {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|why| SandboxError::system("listen on loopback", &why))?;
        tokio::spawn(accept(Arc::clone(shared), listener, plane, closing.clone()));
        Ok(())
    };
    serve(listeners.admin, Plane::Admin)?;
    serve(listeners.control, Plane::Control)?;
    for (replica, listener) in listeners.data.into_iter().enumerate() {
        serve(listener, Plane::Data(replica))?;
    }
    let callers = consumers::start(shared, &stopping)?;
    let late = tokio::spawn(late_rows(Arc::clone(shared)));
    let _the_sender_lives_in_shared = stopping.wait_for(|stop| *stop).await;
    for caller in callers {
        let _one_that_hangs_is_left = tokio::time::timeout(Duration::from_secs(2), caller).await;
    }
    close.send_replace(true);
    for _ in 0..200 {
        if shared.under_way() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    late.abort();
    let mut world = shared.world();
    world.logs.flush(None);
    world.save()
}

/// Writes the rows that the fault `log_lag` held back, when they are due.
async fn late_rows(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        shared.world().logs.flush(Some(Instant::now()));
    }
}
