//! Log files as a usage source. Files are read on from where the last reading stopped, so that polling is cheap.

use crate::ports::{PortError, Result, UsageQuery, UsageSource};
use crate::rotation::{UsagePlan, UsageTable};
use crate::usage::{JsonlReader, ReadProblem, Settings};
use std::cell::{RefCell, RefMut};

/// A set of log files.
pub struct JsonlUsage {
    system: String,
    reader: RefCell<JsonlReader>,
}

impl JsonlUsage {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// When a path has a `*` outside the file name.
    pub fn new(settings: Settings) -> std::result::Result<Self, ReadProblem> {
        let system = format!("log files {}", settings.paths.join(", "));
        Ok(Self { system, reader: RefCell::new(JsonlReader::new(settings)?) })
    }

    fn refreshed(&self) -> Result<RefMut<'_, JsonlReader>> {
        let failed = |why: String| PortError::Unreachable { system: self.system.clone(), why, may_have_happened: false };
        let mut reader = self.reader.try_borrow_mut().map_err(|_| failed("it is being read already".into()))?;
        reader.refresh().map_err(|e| failed(e.to_string()))?;
        Ok(reader)
    }
}

impl UsageSource for JsonlUsage {
    async fn describe(&self) -> Result<UsagePlan> {
        Ok(self.refreshed()?.describe())
    }

    async fn read(&self, query: UsageQuery<'_>) -> Result<UsageTable> {
        Ok(self.refreshed()?.table(&query))
    }
}
