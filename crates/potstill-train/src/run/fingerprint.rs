//! Identity of a run: what must stay the same when it is resumed.

use std::path::PathBuf;

use potstill_core::{Error, Result};
use potstill_data::dataset::Survey;

use crate::config::Config;
use crate::distill::TeacherSource;

/// Hash of everything that must stay the same between the parts of a resumed run. `surveys` are those of training, validation and
/// synthetic systems, `start` is the hash of the model that the run starts from.
pub(super) fn fingerprint(config: &Config, surveys: &[Survey; 3], start: Option<String>) -> Result<String> {
    let mut config = config.clone();
    config.training.start_from = None;
    config.training.epochs = 0;
    config.training.max_steps = None;
    config.training.max_minutes = None;
    config.training.patience = None;
    config.training.checkpoint_steps = None;
    config.data.train.clear();
    config.data.validation.clear();
    config.data.synthetic.clear();
    config.data.in_memory = None;
    config.data.checks = None;
    if let Some(distill) = &mut config.distill {
        distill.cache = None;
        distill.teacher = TeacherSource::One(PathBuf::new());
    }
    let mut settings = serde_json::to_value(&config).map_err(|e| Error::Other(e.to_string()))?;
    if let Some(training) = settings["training"].as_object_mut() {
        training.shift_remove("checkpoint_minutes");
        // Runs of versions that had no choice go on when they are asked to do as they did.
        for (key, once) in [("ema_warmup", serde_json::json!(false)), ("validated_weights", "averaged".into())] {
            if training.get(key) == Some(&once) {
                training.shift_remove(key);
            }
        }
    }
    let [train, validation, synthetic] = surveys;
    let mut all = format!("{settings}{}{}", train.content_hash, validation.content_hash);
    if synthetic.n_systems > 0 {
        all += &synthetic.content_hash;
    }
    all += &start.unwrap_or_default();
    Ok(blake3::hash(all.as_bytes()).to_hex().to_string())
}
