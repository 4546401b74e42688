//! A bucket for callers that wait, inside a runtime or outside: a thread of its own makes the calls.

use super::Bucket;
use crate::support::objects::{Object, ObjectProblem, Objects, Place, When};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc as sync;
use std::time::Duration;
use tokio::sync::mpsc;

/// Nothing that is waited for takes longer: each call has a limit of its own, and a listing has few pages.
const LONGEST: Duration = Duration::from_secs(120);

type Work = Pin<Box<dyn Future<Output = ()>>>;
type Job = Box<dyn FnOnce(Rc<Bucket>) -> Work + Send>;

/// A bucket, from any thread.
#[derive(Debug)]
pub struct S3 {
    jobs: Mutex<mpsc::UnboundedSender<Job>>,
}

impl S3 {
    /// Starts the thread and connects. Nothing is asked of the object store yet.
    ///
    /// # Errors
    /// When there are no credentials, no region, or no thread.
    pub fn open(place: Place, session: String) -> Result<Self, ObjectProblem> {
        let (jobs, taken) = mpsc::unbounded_channel::<Job>();
        let (told, hears) = sync::channel();
        let refused = |why: String| ObjectProblem::Refused { why };
        std::thread::Builder::new()
            .name("object store".into())
            .spawn(move || serve(place, session, taken, &told))
            .map_err(|e| refused(format!("start a thread: {e}")))?;
        hears.recv_timeout(LONGEST).map_err(|_| refused("the object store's thread ended".into()))??;
        Ok(Self { jobs: Mutex::new(jobs) })
    }

    /// Does something with the bucket, and waits for it.
    fn call<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&Bucket) -> Result<T, ObjectProblem> + Send + 'static,
    ) -> Result<T, ObjectProblem> {
        let (told, hears) = sync::channel();
        let job: Job = Box::new(move |bucket| {
            Box::pin(async move {
                // Who asked may have given up.
                let _ = told.send(work(&bucket).await);
            })
        });
        let gone = || ObjectProblem::Refused { why: "the object store's thread ended".into() };
        self.jobs.lock().map_err(|_| gone())?.send(job).map_err(|_| gone())?;
        hears.recv_timeout(LONGEST).unwrap_or_else(|_| Err(ObjectProblem::Unclear { why: "no answer in time".into() }))
    }
}

impl Objects for S3 {
    fn put(&self, key: &str, body: Vec<u8>, when: &When) -> Result<String, ObjectProblem> {
        let (key, when) = (key.to_owned(), when.clone());
        self.call(async move |bucket| bucket.put(&key, body, &when).await)
    }

    fn get(&self, key: &str) -> Result<Option<Object>, ObjectProblem> {
        let key = key.to_owned();
        self.call(async move |bucket| bucket.get(&key).await)
    }

    fn remove(&self, key: &str) -> Result<(), ObjectProblem> {
        let key = key.to_owned();
        self.call(async move |bucket| bucket.remove(&key).await)
    }

    fn list(&self, folder: &str, after: Option<&str>, folders: bool) -> Result<Vec<String>, ObjectProblem> {
        let (folder, after) = (folder.to_owned(), after.map(str::to_owned));
        self.call(async move |bucket| bucket.list(&folder, after.as_deref(), folders).await)
    }
}

fn serve(place: Place, session: String, mut jobs: mpsc::UnboundedReceiver<Job>, told: &sync::Sender<Result<(), ObjectProblem>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            let _ = told.send(Err(ObjectProblem::Refused { why: format!("start a runtime: {e}") }));
            return;
        }
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let bucket = match Bucket::connect(place, session).await {
            Ok(bucket) => Rc::new(bucket),
            Err(problem) => {
                let _ = told.send(Err(problem));
                return;
            }
        };
        let _ = told.send(Ok(()));
        while let Some(job) = jobs.recv().await {
            tokio::task::spawn_local(job(bucket.clone()));
        }
    });
}
