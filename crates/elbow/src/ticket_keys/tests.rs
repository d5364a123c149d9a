use super::*;

fn keys(seed: u8) -> Vec<Vec<u8>> {
    vec![
        vec![seed; elbow_tls::TICKET_KEY_BYTES],
        vec![0xa5; elbow_tls::TICKET_KEY_BYTES],
    ]
}

fn folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("elbow-ticket-keys-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn saved_keys_are_found_again_by_their_owner_alone() {
    let path = folder().join("saved");
    let (mut file, found) = KeyFile::open(&path);
    assert!(found.is_empty());
    file.save(&[]);
    assert!(!path.exists(), "there are no keys yet");
    file.save(&keys(1));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let (mut file, found) = KeyFile::open(&path);
    assert_eq!(found, keys(1));

    // Equal keys leave the file alone, others replace it.
    fs::remove_file(&path).unwrap();
    file.save(&keys(1));
    assert!(!path.exists());
    file.save(&keys(2));
    assert_eq!(KeyFile::open(&path).1, keys(2));
    fs::remove_file(&path).unwrap();
}

#[test]
fn unusable_file_is_replaced() {
    let path = folder().join("unusable");
    let good = text(&keys(3));
    let unusable = [
        "not a key\n".to_owned(),
        // The end of a file that was cut.
        good[..good.len() - 3].to_owned(),
        good.replace("03", "0g"),
        format!("{good}\n"),
    ];
    for content in unusable {
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (mut file, found) = KeyFile::open(&path);
        assert!(found.is_empty(), "{content}");
        file.save(&keys(3));
        assert_eq!(KeyFile::open(&path).1, keys(3), "{content}");
    }
    for (mode, is_used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(!KeyFile::open(&path).1.is_empty(), is_used, "{mode:o}");
    }
    fs::remove_file(&path).unwrap();
}
