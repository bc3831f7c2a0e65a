//! Strategies of other crates.

use serde::Serialize;
use serde_json::Value;

use super::strategy::Strategy;

/// A strategy that another crate defines.
///
/// Such a strategy is written to the documents of a run and counts in its fingerprint as its name and its settings, but is not read from
/// configuration files.
#[derive(Debug)]
pub struct Custom(Box<dyn Copyable>);

/// Strategy that can be copied and written.
trait Copyable: Strategy {
    fn copy(&self) -> Box<dyn Copyable>;
    fn settings(&self) -> Value;
    fn as_strategy(&self) -> &dyn Strategy;
    fn as_strategy_mut(&mut self) -> &mut dyn Strategy;
}

impl<S: Strategy + Serialize + Clone + 'static> Copyable for S {
    fn copy(&self) -> Box<dyn Copyable> {
        Box::new(self.clone())
    }

    fn settings(&self) -> Value {
        serde_json::json!({ "name": self.name(), "settings": serde_json::to_value(self).unwrap_or_default() })
    }

    fn as_strategy(&self) -> &dyn Strategy {
        self
    }

    fn as_strategy_mut(&mut self) -> &mut dyn Strategy {
        self
    }
}

impl Custom {
    pub(super) fn new(strategy: impl Strategy + Serialize + Clone + 'static) -> Self {
        Self(Box::new(strategy))
    }

    pub(super) fn strategy(&self) -> &dyn Strategy {
        self.0.as_strategy()
    }

    pub(super) fn strategy_mut(&mut self) -> &mut dyn Strategy {
        self.0.as_strategy_mut()
    }
}

impl Clone for Custom {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.0.settings() == other.0.settings()
    }
}

impl Serialize for Custom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.settings().serialize(serializer)
    }
}
