use super::*;

/// Lengths of the shares and of the secret (draft-ietf-tls-ecdhe-mlkem, 3.1 to 3.3).
const CLIENT: usize = 97 + 1568;
const SERVER: usize = 97 + 1568;
const SECRET: usize = 48 + 32;

fn is_invalid_share<T>(result: Result<T, Error>) -> bool {
    matches!(
        result,
        Err(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
    )
}

#[test]
fn both_sides_get_the_same_secret() {
    let started = Secp384r1MlKem1024.start().unwrap();
    assert_eq!(started.pub_key().len(), CLIENT);
    assert_eq!(u16::from(started.group()), 0x11ed);
    let completed = Secp384r1MlKem1024
        .start_and_complete(started.pub_key())
        .unwrap();
    assert_eq!(completed.pub_key.len(), SERVER);
    let secret = started.complete(&completed.pub_key).unwrap();
    assert_eq!(secret.secret_bytes(), completed.secret.secret_bytes());
    assert_eq!(secret.secret_bytes().len(), SECRET);
}

/// The order of the parts: a peer that has them in the order of the draft, by hand.
#[test]
fn ecdh_comes_before_ml_kem() {
    let (classical, post_quantum) = (
        kx_group::SECP384R1.start().unwrap(),
        kx_group::MLKEM1024.start().unwrap(),
    );
    let share = [classical.pub_key(), post_quantum.pub_key()].concat();
    let completed = Secp384r1MlKem1024.start_and_complete(&share).unwrap();
    let (point, ciphertext) = completed.pub_key.split_at(97);
    let first = classical.complete(point).unwrap();
    let second = post_quantum.complete(ciphertext).unwrap();
    assert_eq!(
        completed.secret.secret_bytes(),
        [first.secret_bytes(), second.secret_bytes()].concat()
    );
}

#[test]
fn malformed_shares_are_refused() {
    let share = Secp384r1MlKem1024.start().unwrap().pub_key().to_vec();
    let mut compressed = share.clone();
    compressed[0] = 2;
    for bad in [
        &[][..],
        &share[..POINT - 1],
        &share[..POINT],
        &share[..CLIENT - 1],
        &[&share[..], &[0]].concat(),
        &compressed,
    ] {
        let completed = Secp384r1MlKem1024.start_and_complete(bad);
        assert!(is_invalid_share(completed), "{} bytes", bad.len());
        let started = Secp384r1MlKem1024.start().unwrap();
        let completed = started.complete(bad);
        assert!(is_invalid_share(completed), "{} bytes", bad.len());
    }
}
