use super::*;

fn held(folder: &Path) -> Holder {
    match FolderLock::attempt(folder, "a second attempt").unwrap() {
        Attempt::Held(holder) => holder,
        Attempt::Locked(_) => panic!("{} is locked twice", folder.display()),
    }
}

#[test]
fn one_holder_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("new");
    let lock = FolderLock::acquire(&folder, "training").unwrap();
    assert!(lock.is_exclusive());
    let holder = held(&folder);
    assert_eq!((holder.process, holder.purpose.as_str()), (std::process::id(), "training"));
    let error = FolderLock::acquire(&folder, "training").unwrap_err().to_string();
    let wanted = format!("{}: is in use by process {} on host ", folder.display(), std::process::id());
    assert!(error.starts_with(&wanted) && error.contains(" since 20") && !error.contains('\n'), "{error}");
    drop(lock);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    drop(FolderLock::acquire(&folder, "again").unwrap());
}

#[test]
fn a_lock_cleans_up_behind_killed_processes() {
    let place = tempfile::tempdir().unwrap();
    let left = place.path().join(".potstill-abc.tmp");
    std::fs::write(&left, "half a shard").unwrap();
    drop(FolderLock::acquire(place.path(), "a teacher cache").unwrap());
    assert!(!left.exists());
}

#[test]
fn what_a_killed_process_left_locks_nothing() {
    let place = tempfile::tempdir().unwrap();
    for left in ["", "{\"process\": 1}", "not json \u{1b}[31m\n\n", &"x".repeat(100_000)] {
        std::fs::write(place.path().join(LOCK_FILE), left).unwrap();
        let lock = FolderLock::acquire(place.path(), "training").unwrap();
        assert_eq!(held(place.path()).process, std::process::id());
        drop(lock);
    }
}

#[test]
fn a_file_that_says_nothing_sound_is_named_as_far_as_it_goes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(LOCK_FILE);
    let file = open(&path).unwrap();
    file.try_lock().unwrap();
    for (left, wanted) in [
        ("", "in use by another process"),
        ("{\"process\": 7, \"host\": \"a\\nb\"}", "in use by process 7 on host a b since"),
        ("{\"process\": -7}", "in use by another process"),
    ] {
        std::fs::write(&path, left).unwrap();
        let error = FolderLock::acquire(place.path(), "training").unwrap_err().to_string();
        assert!(error.contains(wanted) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn waiting_ends_with_the_lock() {
    let place = tempfile::tempdir().unwrap();
    let lock = FolderLock::acquire(place.path(), "first").unwrap();
    std::thread::scope(|scope| {
        let (sender, heard) = std::sync::mpsc::channel();
        let waiting = scope.spawn(move || {
            let mut tell = |holder: &Holder| {
                sender.send(holder.purpose.clone()).unwrap();
                Ok(())
            };
            FolderLock::wait(place.path(), "second", &mut tell).map(|lock| lock.is_exclusive())
        });
        assert_eq!(heard.recv().unwrap(), "first");
        drop(lock);
        assert!(waiting.join().unwrap().unwrap());
    });
}

#[test]
fn giving_up_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let _lock = FolderLock::acquire(place.path(), "first").unwrap();
    let refused = FolderLock::wait(place.path(), "second", &mut |holder| Err(holder.error(place.path())));
    assert!(refused.unwrap_err().to_string().contains("is in use by process"));
}

#[test]
fn threads_take_turns() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("count");
    std::fs::write(&path, "0").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let _lock = FolderLock::wait(place.path(), "counting", &mut |_| Ok(())).unwrap();
                    let count: usize = std::fs::read_to_string(&path).unwrap().parse().unwrap();
                    std::fs::write(&path, (count + 1).to_string()).unwrap();
                }
            });
        }
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "100");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = FolderLock::acquire(&file.join("below"), "training").unwrap_err().to_string();
    assert!(error.contains("file/below: cannot create the folder"), "{error}");
}
