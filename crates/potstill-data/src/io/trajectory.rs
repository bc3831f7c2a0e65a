//! Trajectories: extended XYZ that grows frame by frame and is readable at any time.
//!
//! Unlike other outputs a trajectory has its name from the start, so that a run can be watched, and whatever ends the run leaves
//! all whole frames. Compressed ones (`.zst`) are a zstd frame for each system, which readers join. A frame that cannot be
//! written completely, for want of space for example, is cut off again.

use std::path::Path;

use potstill_core::files::atomic::write_error;
use potstill_core::{Error, Result, System};

use super::extxyz::append;
use super::growing::GrowingFile;

/// Level of zstd: fast, since a frame is compressed between two steps.
const LEVEL: i32 = 3;

/// Extended XYZ file that grows frame by frame.
#[derive(Debug)]
pub struct Trajectory {
    file: GrowingFile,
    is_compressed: bool,
    /// Text of one frame, reused.
    text: String,
}

impl Trajectory {
    /// Whether a file's name is that of a trajectory: `.extxyz` or `.xyz`, also with `.zst` behind it.
    ///
    /// # Errors
    /// Says which names there are.
    pub fn check_name(path: &Path) -> Result<()> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let name = name.strip_suffix(".zst").unwrap_or(&name);
        match name.ends_with(".xyz") || name.ends_with(".extxyz") {
            true => Ok(()),
            false => Err(Error::file(path, "a trajectory ends in .extxyz or .xyz, also with .zst behind it")),
        }
    }

    /// Starts a trajectory, in place of a file of that name.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder refuses; a name as for [`Trajectory::check_name`].
    pub fn create(path: &Path) -> Result<Self> {
        Self::check_name(path)?;
        Ok(Self::of(GrowingFile::create(path)?))
    }

    /// Goes on with a trajectory after its first `len` bytes, and drops what follows them.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened; a file that is shorter.
    pub fn resume(path: &Path, len: u64) -> Result<Self> {
        Self::check_name(path)?;
        Ok(Self::of(GrowingFile::resume(path, len)?))
    }

    fn of(file: GrowingFile) -> Self {
        let is_compressed = file.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("zst"));
        Self { file, is_compressed, text: String::new() }
    }

    /// Appends systems as one piece: all of them are in the file, or none.
    ///
    /// # Errors
    /// [`Error::System`] for a system that cannot be written; [`Error::Io`] when the disk refuses. The file then ends with the
    /// last whole piece.
    pub fn write(&mut self, systems: &[System]) -> Result<()> {
        self.text.clear();
        for (index, system) in systems.iter().enumerate() {
            append(&mut self.text, system).map_err(|message| Error::System { index, name: system.name(), message })?;
        }
        match self.is_compressed {
            true => {
                let packed = zstd::bulk::compress(self.text.as_bytes(), LEVEL);
                self.file.append(&packed.map_err(|e| write_error(self.file.path(), e))?)
            }
            false => self.file.append(self.text.as_bytes()),
        }
    }

    /// Bytes of all whole frames.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    /// Sees to it that all frames are on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{LabelKeys, read_all};

    fn frame(x: f64) -> System {
        System { atomic_numbers: vec![18], positions: vec![[x, 0.0, 0.0]], energy: Some(x), ..System::default() }
    }

    fn positions(path: &Path) -> Vec<f64> {
        read_all(path, &LabelKeys::default()).unwrap().0.iter().map(|system| system.positions[0][0]).collect()
    }

    #[test]
    fn is_readable_after_every_frame_and_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t.extxyz", "t.xyz.zst"] {
            let path = folder.path().join(name);
            let mut trajectory = Trajectory::create(&path).unwrap();
            assert!(trajectory.is_empty());
            trajectory.write(&[frame(1.0), frame(2.0)]).unwrap();
            assert_eq!(positions(&path), [1.0, 2.0]);
            let len = trajectory.len();
            trajectory.write(&[frame(3.0)]).unwrap();
            trajectory.sync().unwrap();
            assert_eq!(positions(&path), [1.0, 2.0, 3.0]);
            drop(trajectory);

            let mut again = Trajectory::resume(&path, len).unwrap();
            assert_eq!(positions(&path), [1.0, 2.0], "frames after the checkpoint are dropped");
            again.write(&[frame(4.0)]).unwrap();
            assert_eq!(positions(&path), [1.0, 2.0, 4.0]);
            let error = Trajectory::resume(&path, 1 << 20).unwrap_err().to_string();
            assert!(error.contains("fewer than the 1048576"), "{error}");
        }
    }

    #[test]
    fn a_frame_that_cannot_be_written_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.extxyz");
        let mut trajectory = Trajectory::create(&path).unwrap();
        trajectory.write(&[frame(1.0)]).unwrap();
        let error = trajectory.write(&[frame(2.0), frame(f64::NAN)]).unwrap_err().to_string();
        assert!(error.starts_with("system 1") && error.contains("not finite"), "{error}");
        assert_eq!(positions(&path), [1.0]);
        let error = Trajectory::create(&folder.path().join("t.npz")).unwrap_err().to_string();
        assert!(error.contains(".extxyz or .xyz"), "{error}");
    }

    /// `/dev/full` refuses every byte, as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.extxyz");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut trajectory = Trajectory::create(&path).unwrap();
        let error = trajectory.write(&[frame(1.0)]).unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");
    }
}
