//! The simulator as a WebAssembly module: one thread, no imports, questions and answers as JSON.
//!
//! A page calls `alloc`, writes a question, calls `ask`, reads the answer where the result says,
//! and gives both back to `free`; what can be asked is what [`migsim_ask::answer`] takes. `build`
//! makes the module; `compare` holds its answers to those of the same code built for this machine,
//! byte for byte.

/// What the module exports. On other machines `free` is somebody else's.
#[cfg(target_arch = "wasm32")]
mod exports {
    /// Room for so many bytes.
    #[expect(unsafe_code, reason = "a module's functions have names of their own")]
    #[unsafe(no_mangle)]
    extern "C" fn alloc(length: usize) -> *mut u8 {
        Box::into_raw(vec![0_u8; length].into_boxed_slice()).cast()
    }

    /// Gives back what `alloc`, `ask` or `watch` gave.
    ///
    /// # Safety
    /// The pointer and the length are those that were given, and given back once.
    #[expect(unsafe_code, reason = "the page has had the memory")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(pointer: *mut u8, length: usize) {
        // SAFETY: it was a boxed slice of that length.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(pointer, length)) });
    }

    /// Answers the question of so many bytes there. Returns pointer and length of the answer, the
    /// pointer in the upper half.
    ///
    /// # Safety
    /// The pointer and the length are those that `alloc` gave.
    #[expect(unsafe_code, reason = "the page has written the question there")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn ask(pointer: *const u8, length: usize) -> u64 {
        // SAFETY: `alloc` gave that many bytes, and they are initialised.
        let question = unsafe { std::slice::from_raw_parts(pointer, length) };
        given(migsim_ask::answer(&String::from_utf8_lossy(question)).into_bytes())
    }

    /// Like `ask`, of [`migsim_ask::watched`].
    ///
    /// # Safety
    /// The pointer and the length are those that `alloc` gave.
    #[expect(unsafe_code, reason = "the page has written the question there")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn watch(pointer: *const u8, length: usize) -> u64 {
        // SAFETY: `alloc` gave that many bytes, and they are initialised.
        let question = unsafe { std::slice::from_raw_parts(pointer, length) };
        given(migsim_ask::watched(&String::from_utf8_lossy(question)))
    }

    fn given(answer: Vec<u8>) -> u64 {
        let answer = answer.into_boxed_slice();
        let length = answer.len() as u64;
        let pointer = Box::into_raw(answer).cast::<u8>() as usize as u64;
        pointer << 32 | length
    }
}
