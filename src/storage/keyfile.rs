//! Where the master key comes from: the environment, or a file made on the first start.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::Error;
use super::sealed::Key;

/// The variable that holds the master key: 32 bytes in base64.
pub const VARIABLE: &str = "CROSSWALK_MASTER_KEY";

/// The master key: from the variable's value where there is one, else from the file, which is made where missing.
pub fn master_key(variable: Option<&str>, file: &Path) -> Result<Key, Error> {
    match variable.filter(|value| !value.trim().is_empty()) {
        Some(value) => Key::from_base64(value).ok_or_else(|| {
            Error::MasterKey(format!(
                "{VARIABLE} must be 32 bytes in base64; `head -c 32 /dev/urandom | base64` makes one"
            ))
        }),
        None => load_or_create(file),
    }
}

/// The key in the file; a missing file is made with a random key and mode 0600.
/// Errors: a file that others than its owner may read, or that holds no key.
pub fn load_or_create(file: &Path) -> Result<Key, Error> {
    match load(file)? {
        Some(key) => Ok(key),
        None => create(file),
    }
}

fn fault(file: &Path, says: impl std::fmt::Display) -> Error {
    Error::MasterKey(format!("master key file {}: {says}", file.display()))
}

fn load(file: &Path) -> Result<Option<Key>, Error> {
    let found = match fs::metadata(file) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(file, error)),
    };
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(
            file,
            format!(
                "mode {mode:04o} lets others than its owner in; run `chmod 600 {}`, and change the key if they may have read it",
                file.display()
            ),
        ));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(|error| fault(file, error))?);
    Key::from_base64(&text).map(Some).ok_or_else(|| fault(file, "does not hold 32 bytes in base64"))
}

/// Written beside its place and linked there whole: of two first starts one wins, and no one reads half a key.
fn create(file: &Path) -> Result<Key, Error> {
    let key = Key::random()?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", uuid::Uuid::now_v7()));
    let beside = file.with_file_name(name);
    let written = write_new(&beside, &key).and_then(|()| fs::hard_link(&beside, file));
    let removed = fs::remove_file(&beside);
    match written {
        Ok(()) => {
            removed.map_err(|error| fault(&beside, error))?;
            tracing::info!(file = %file.display(), "made a new master key: keep a copy, without it nothing sealed can be read");
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            load(file)?.ok_or_else(|| fault(file, "went away while it was read"))
        }
        Err(error) => Err(fault(file, error)),
    }
}

fn write_new(path: &Path, key: &Key) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.to_base64().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_start_makes_it_the_second_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let first = load_or_create(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&file).unwrap().bytes(), first.bytes());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn many_first_starts_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| *load_or_create(&file).unwrap().bytes())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| key == &keys[0]));
    }

    #[test]
    fn wider_permissions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        load_or_create(&file).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let says = load_or_create(&file).unwrap_err().to_string();
            assert!(says.contains("chmod 600") && says.contains(&format!("{mode:04o}")), "{says}");
        }
    }

    #[test]
    fn the_variable_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let key = Key::random().unwrap();
        assert_eq!(master_key(Some(&key.to_base64()), &file).unwrap().bytes(), key.bytes());
        assert!(!file.exists());
        let says = master_key(Some("short"), &file).unwrap_err().to_string();
        assert!(says.contains(VARIABLE) && !says.contains("short"), "{says}");
        assert!(master_key(Some(" "), &file).is_ok() && file.exists(), "a blank variable counts as none");
        fs::write(&file, "nonsense").unwrap();
        assert!(load_or_create(&file).unwrap_err().to_string().contains("32 bytes"));
    }
}
