// lzma1 0.3.0 (MIT), what decompresses: lib/decoder.js and lib/streams.js with what they import, put together by esbuild.
// lzma1/lib/lz-window.js
var LzOutWindow = class {
  buffer = null;
  pos = 0;
  streamPos = 0;
  stream = null;
  windowSize = 0;
  // Private Go-style properties
  w = null;
  buf;
  constructor(writer = null, windowSize = 4096) {
    this.w = writer;
    this.stream = writer;
    this.windowSize = windowSize;
    this.buf = new Uint8Array(windowSize);
    this.buffer = this.buf;
    this.pos = 0;
    this.streamPos = 0;
  }
  /**
   * Copy a block of data from a previous position (LZ77-style)
   */
  copyBlock(distance, length) {
    if (!this.buffer)
      return;
    for (let i = 0; i < length; i++) {
      let sourcePos = this.pos - distance - 1;
      if (sourcePos < 0) {
        sourcePos += this.windowSize;
      }
      const byte = this.buffer[sourcePos];
      this.putByte(byte);
    }
  }
  /**
   * Put a single byte into the window
   */
  putByte(byte) {
    if (!this.buffer)
      return;
    this.buffer[this.pos] = byte;
    this.pos++;
    this.streamPos++;
    if (this.pos >= this.windowSize) {
      this.flush();
    }
  }
  /**
   * Get a byte from a relative position
   */
  getByte(relativePos) {
    if (!this.buffer)
      return 0;
    let pos = this.pos + relativePos;
    if (pos < 0) {
      pos += this.windowSize;
    } else if (pos >= this.windowSize) {
      pos -= this.windowSize;
    }
    return this.buffer[pos];
  }
  /**
   * Flush buffered data to output writer
   */
  flush() {
    if (this.w && this.buffer && this.pos > 0) {
      this.w.writeBytes(this.buffer, 0, this.pos);
      this.pos = 0;
    }
  }
  /**
   * Check if the window is empty
   */
  isEmpty() {
    return this.streamPos === 0;
  }
  /**
   * Reset the window
   */
  reset() {
    this.pos = 0;
    this.streamPos = 0;
    if (this.buffer) {
      this.buffer.fill(0);
    }
  }
};

// lzma1/lib/range-decoder.js
var RangeDecoder = class {
  stream = null;
  code = 0;
  rrange = 0;
  /**
   * Set input stream for decoding
   */
  setStream(stream) {
    this.stream = stream;
  }
  /**
   * Initialize range decoder
   */
  init() {
    this.code = 0;
    this.rrange = -1;
    for (let i = 0; i < 5; ++i) {
      this.code = this.code << 8 | this.readFromStream();
    }
  }
  /**
   * Decode a single bit using probability model
   */
  decodeBit(probs, index) {
    let newBound, prob = probs[index];
    newBound = (this.rrange >>> 11) * prob;
    if ((this.code ^ -2147483648) < (newBound ^ -2147483648)) {
      this.rrange = newBound;
      probs[index] = prob + (2048 - prob >>> 5);
      if (!(this.rrange & -16777216)) {
        this.code = this.code << 8 | this.readFromStream();
        this.rrange <<= 8;
      }
      return 0;
    } else {
      this.rrange -= newBound;
      this.code -= newBound;
      probs[index] = prob - (prob >>> 5);
      if (!(this.rrange & -16777216)) {
        this.code = this.code << 8 | this.readFromStream();
        this.rrange <<= 8;
      }
      return 1;
    }
  }
  /**
   * Decode direct bits (without probability model)
   */
  decodeDirectBits(numTotalBits) {
    let result = 0;
    for (let i = numTotalBits; i != 0; i -= 1) {
      this.rrange >>>= 1;
      let t = this.code - this.rrange >>> 31;
      this.code -= this.rrange & t - 1;
      result = result << 1 | 1 - t;
      if (!(this.rrange & -16777216)) {
        this.code = this.code << 8 | this.readFromStream();
        this.rrange <<= 8;
      }
    }
    return result;
  }
  /**
   * Get current code value (for compatibility)
   */
  get currentCode() {
    return this.code;
  }
  /**
   * Get current range value (for compatibility)
   */
  get currentRange() {
    return this.rrange;
  }
  /**
   * Read a single byte from the input stream
   */
  readFromStream() {
    if (!this.stream) {
      return 0;
    }
    return this.stream.readByte();
  }
};

// lzma1/lib/utils.js
var _MAX_UINT32 = 4294967295;
var kTopValue = 1 << 24;
var kNumBitModelTotalBits = 11;
var kBitModelTotal = 1 << kNumBitModelTotalBits;
var MATCH_DECODERS_SIZE = 192;
var REP_DECODERS_SIZE = 12;
var POS_DECODERS_SIZE = 114;
var LITERAL_DECODER_SIZE = 768;
var DEFAULT_WINDOW_SIZE = 4096;
var CHOICE_ARRAY_SIZE = 2;
var PROB_PRICES = createProbPrices();
var G_FAST_POS = createFastPos();
function initArray(len, value = 0) {
  const array = [];
  array[len - 1] = void 0;
  if (value !== 0) {
    for (let i = 0; i < len; i++) {
      array[i] = value;
    }
  }
  return array;
}
function initBitModels(probs) {
  for (let i = probs.length - 1; i >= 0; --i) {
    probs[i] = 1024;
  }
}
function getLenToPosState(len) {
  len -= 2;
  if (len < 4) {
    return len;
  }
  return 3;
}
var STATE_UPDATE_CHAR_TABLE = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5];
function stateUpdateChar(index) {
  if (index >= 0 && index < STATE_UPDATE_CHAR_TABLE.length) {
    return STATE_UPDATE_CHAR_TABLE[index];
  }
  if (index < 4) {
    return 0;
  }
  if (index < 10) {
    return index - 3;
  }
  return index - 6;
}
function createBitTree(numBitLevels) {
  return {
    numBitLevels,
    models: initArray(1 << numBitLevels)
  };
}
function createProbPrices() {
  const probPrices = [];
  for (let i = 8; i >= 0; --i) {
    let start = 1 << 9 - i - 1;
    let end = 1 << 9 - i;
    for (let j = start; j < end; ++j) {
      probPrices[j] = (i << 6) + (end - j << 6 >>> 9 - i - 1);
    }
  }
  return probPrices;
}
function createFastPos() {
  const gFastPos = [0, 1];
  let c = 2;
  for (let slotFast = 2; slotFast < 22; ++slotFast) {
    let k = 1 << (slotFast >> 1) - 1;
    for (let j = 0; j < k; ++j, ++c) {
      gFastPos[c] = slotFast;
    }
  }
  return gFastPos;
}

// lzma1/lib/decoder.js
var Decoder = class {
  rangeDecoder;
  outWindow;
  // Decoder state
  state = 0;
  rep0 = 0;
  rep1 = 0;
  rep2 = 0;
  rep3 = 0;
  prevByte = 0;
  nowPos64 = 0n;
  outSize = 0n;
  // Decoder configuration
  posStateMask = 0;
  dictSizeCheck = 0;
  // Probability models for different symbols
  matchDecoders = [];
  rep0LongDecoders = [];
  repDecoders = [];
  repG0Decoders = [];
  repG1Decoders = [];
  repG2Decoders = [];
  posDecoders = [];
  // Complex decoders
  literalDecoder;
  posSlotDecoders = [];
  lenDecoder;
  repLenDecoder;
  posAlignDecoder;
  // Alias for compatibility with LZMA class
  get literalCoder() {
    return this.literalDecoder;
  }
  constructor() {
    this.rangeDecoder = new RangeDecoder();
    this.outWindow = new LzOutWindow(null, DEFAULT_WINDOW_SIZE);
    this.matchDecoders = initArray(MATCH_DECODERS_SIZE);
    this.rep0LongDecoders = initArray(MATCH_DECODERS_SIZE);
    this.repDecoders = initArray(REP_DECODERS_SIZE);
    this.repG0Decoders = initArray(REP_DECODERS_SIZE);
    this.repG1Decoders = initArray(REP_DECODERS_SIZE);
    this.repG2Decoders = initArray(REP_DECODERS_SIZE);
    this.posDecoders = initArray(POS_DECODERS_SIZE);
    this.literalDecoder = {
      coders: [],
      numPrevBits: 0,
      numPosBits: 0,
      posMask: 0,
      init: () => this.initLiteralDecoder()
    };
    for (let i = 0; i < 4; i++) {
      this.posSlotDecoders[i] = createBitTree(6);
    }
    this.lenDecoder = this.createLenDecoder();
    this.repLenDecoder = this.createLenDecoder();
    this.posAlignDecoder = createBitTree(4);
  }
  /**
   * Read LZMA header, configure decoder, and prepare for decompression.
   */
  initDecompression(input, output) {
    const properties = [];
    for (let i = 0; i < 5; ++i) {
      const r = input.readByte();
      if (r === -1) {
        throw new Error("truncated input");
      }
      properties[i] = r << 24 >> 24;
    }
    if (!this.setDecoderProperties(properties)) {
      throw new Error("corrupted input");
    }
    let outSize;
    {
      let value = 0n;
      for (let i = 0; i < 8; i++) {
        const r = input.readByte();
        if (r === -1) {
          throw new Error("truncated input");
        }
        value += BigInt(r & 255) << BigInt(i * 8);
      }
      if (value === 0xffffffffffffffffn) {
        outSize = -1n;
      } else if (value > BigInt(_MAX_UINT32)) {
        outSize = -1n;
      } else {
        outSize = value;
      }
    }
    this.rangeDecoder.setStream(input);
    this.flush();
    this.outWindow.stream = null;
    this.outWindow.stream = output;
    this.init();
    this.state = 0;
    this.rep0 = 0;
    this.rep1 = 0;
    this.rep2 = 0;
    this.rep3 = 0;
    this.outSize = outSize;
    this.nowPos64 = 0n;
    this.prevByte = 0;
  }
  /**
   * Full decompression: read header, decode all chunks, flush and cleanup.
   */
  decompress(input, output) {
    this.initDecompression(input, output);
    while (true) {
      const result = this.codeOneChunk();
      if (result === -1) {
        throw new Error("corrupted input");
      }
      const isOutputComplete = this.outSize >= 0n && this.nowPos64 >= this.outSize;
      if (result || isOutputComplete) {
        this.flush();
        this.cleanup();
        return;
      }
    }
  }
  createLenDecoder() {
    const decoder = {
      choice: initArray(CHOICE_ARRAY_SIZE),
      lowCoder: [],
      midCoder: [],
      highCoder: createBitTree(8),
      numPosStates: 0
    };
    return decoder;
  }
  setDecoderProperties(properties) {
    if (properties.length < 5) {
      return false;
    }
    const lc = properties[0] % 9;
    const remainder = Math.floor(properties[0] / 9);
    const lp = remainder % 5;
    const pb = Math.floor(remainder / 5);
    if (pb > 4) {
      return false;
    }
    this.literalDecoder.numPrevBits = lc;
    this.literalDecoder.numPosBits = lp;
    this.literalDecoder.posMask = (1 << lp) - 1;
    this.posStateMask = (1 << pb) - 1;
    let dictSize = 0;
    for (let i = 0; i < 4; i++) {
      const unsignedByte = properties[1 + i] & 255;
      dictSize += unsignedByte << i * 8;
    }
    this.dictSizeCheck = Math.max(dictSize, 1);
    if (dictSize > 0) {
      this.outWindow.windowSize = Math.max(dictSize, 4096);
      this.outWindow.buffer = new Uint8Array(this.outWindow.windowSize);
    }
    const numStates = 1 << this.literalDecoder.numPrevBits + this.literalDecoder.numPosBits;
    this.literalDecoder.coders = [];
    for (let i = 0; i < numStates; i++) {
      this.literalDecoder.coders[i] = {
        decoders: initArray(LITERAL_DECODER_SIZE)
        // 0x300
      };
    }
    this.lenDecoder.numPosStates = 1 << pb;
    this.repLenDecoder.numPosStates = 1 << pb;
    this.lenDecoder.lowCoder = [];
    this.lenDecoder.midCoder = [];
    this.repLenDecoder.lowCoder = [];
    this.repLenDecoder.midCoder = [];
    for (let posState = 0; posState < 1 << pb; posState++) {
      this.lenDecoder.lowCoder[posState] = createBitTree(3);
      this.lenDecoder.midCoder[posState] = createBitTree(3);
      this.repLenDecoder.lowCoder[posState] = createBitTree(3);
      this.repLenDecoder.midCoder[posState] = createBitTree(3);
    }
    return true;
  }
  // Methods that modify decoder state
  copyBlock(len) {
    const outputWindow = this.outWindow;
    const distance = this.rep0;
    let pos = outputWindow.pos - distance - 1;
    if (pos < 0) {
      pos += outputWindow.windowSize;
    }
    for (; len != 0; len -= 1) {
      if (pos >= outputWindow.windowSize) {
        pos = 0;
      }
      outputWindow.buffer[outputWindow.pos] = outputWindow.buffer[pos];
      outputWindow.pos += 1;
      pos += 1;
      if (outputWindow.pos >= outputWindow.windowSize) {
        this.flush();
      }
    }
  }
  putByte(b) {
    this.outWindow.buffer[this.outWindow.pos] = b;
    this.outWindow.pos += 1;
    if (this.outWindow.pos >= this.outWindow.windowSize) {
      this.flush();
    }
  }
  getByte(distance) {
    const outputWindow = this.outWindow;
    let pos = outputWindow.pos - distance - 1;
    if (pos < 0) {
      pos += outputWindow.windowSize;
    }
    return outputWindow.buffer[pos];
  }
  getDecoder(pos, prevByte) {
    const positionMask = pos & this.literalDecoder.posMask;
    const prevBitsMask = (prevByte & 255) >>> 8 - this.literalDecoder.numPrevBits;
    const index = (positionMask << this.literalDecoder.numPrevBits) + prevBitsMask;
    return this.literalDecoder.coders[index];
  }
  initLiteralDecoder() {
    let numStates = 1 << this.literalDecoder.numPrevBits + this.literalDecoder.numPosBits;
    for (let i = 0; i < numStates; ++i) {
      for (let j = 0; j < this.literalDecoder.coders[i].decoders.length; j++) {
        this.literalDecoder.coders[i].decoders[j] = 1024;
      }
    }
  }
  init() {
    this.outWindow.streamPos = 0;
    this.outWindow.pos = 0;
    initBitModels(this.matchDecoders);
    initBitModels(this.rep0LongDecoders);
    initBitModels(this.repDecoders);
    initBitModels(this.repG0Decoders);
    initBitModels(this.repG1Decoders);
    initBitModels(this.repG2Decoders);
    initBitModels(this.posDecoders);
    this.initLiteralDecoder();
    for (let i = 0; i < 4; ++i) {
      initBitModels(this.posSlotDecoders[i].models);
    }
    this.initLenDecoder(this.lenDecoder);
    this.initLenDecoder(this.repLenDecoder);
    initBitModels(this.posAlignDecoder.models);
    this.initRangeDecoder();
  }
  initLenDecoder(decoder) {
    initBitModels(decoder.choice);
    for (let posState = 0; posState < decoder.numPosStates; ++posState) {
      initBitModels(decoder.lowCoder[posState].models);
      initBitModels(decoder.midCoder[posState].models);
    }
    initBitModels(decoder.highCoder.models);
  }
  outWindowReleaseStream() {
    this.flush();
    this.outWindow.stream = null;
  }
  decodeBit(probs, index) {
    return this.rangeDecoder.decodeBit(probs, index);
  }
  decodeDirectBits(numTotalBits) {
    return this.rangeDecoder.decodeDirectBits(numTotalBits);
  }
  initRangeDecoder() {
    this.rangeDecoder.init();
  }
  rangeBitTreeDecoder(bitTree) {
    let bitIndex, m = 1;
    for (bitIndex = bitTree.numBitLevels; bitIndex != 0; bitIndex -= 1) {
      m = (m << 1) + this.decodeBit(bitTree.models, m);
    }
    return m - (1 << bitTree.numBitLevels);
  }
  reverseDecode(models, startIndex, numBitLevels) {
    let symbol = 0;
    for (let bitIndex = 0, m = 1, bit; bitIndex < numBitLevels; ++bitIndex) {
      bit = this.decodeBit(models, startIndex + m);
      m <<= 1;
      m += bit;
      symbol |= bit << bitIndex;
    }
    return symbol;
  }
  reverseDecodeAlignDecoder() {
    let symbol = 0;
    for (let m = 1, bitIndex = 0, bit; bitIndex < this.posAlignDecoder.numBitLevels; ++bitIndex) {
      bit = this.decodeBit(this.posAlignDecoder.models, m);
      m <<= 1;
      m += bit;
      symbol |= bit << bitIndex;
    }
    return symbol;
  }
  // Update the placeholder implementations with actual logic
  decodeNormalWithRangeDecoder(decoder) {
    let symbol = 1;
    do {
      symbol = symbol << 1 | this.decodeBit(decoder.decoders, symbol);
    } while (symbol < 256);
    return symbol << 24 >> 24;
  }
  decodeWithMatchByteWithRangeDecoder(encoder, matchByte) {
    let bit, matchBit, symbol = 1;
    do {
      matchBit = matchByte >> 7 & 1;
      matchByte <<= 1;
      bit = this.decodeBit(encoder.decoders, (1 + matchBit << 8) + symbol);
      symbol = symbol << 1 | bit;
      if (matchBit != bit) {
        while (symbol < 256) {
          symbol = symbol << 1 | this.decodeBit(encoder.decoders, symbol);
        }
        break;
      }
    } while (symbol < 256);
    return symbol << 24 >> 24;
  }
  decodeLenWithRangeDecoder(decoder, posState) {
    if (!this.decodeBit(decoder.choice, 0)) {
      return this.rangeBitTreeDecoder(decoder.lowCoder[posState]);
    }
    let symbol = 8;
    if (!this.decodeBit(decoder.choice, 1)) {
      symbol += this.rangeBitTreeDecoder(decoder.midCoder[posState]);
    } else {
      symbol += 8 + this.rangeBitTreeDecoder(decoder.highCoder);
    }
    return symbol;
  }
  codeOneChunk() {
    let decoder2, distance, len, numDirectBits, positionSlot;
    let posState = Number(this.nowPos64 & 0xffffffffn) & this.posStateMask;
    if (!this.decodeBit(this.matchDecoders, (this.state << 4) + posState)) {
      decoder2 = this.getDecoder(Number(this.nowPos64 & 0xffffffffn), this.prevByte);
      if (this.state < 7) {
        this.prevByte = this.decodeNormalWithRangeDecoder(decoder2);
      } else {
        this.prevByte = this.decodeWithMatchByteWithRangeDecoder(decoder2, this.getByte(this.rep0));
      }
      this.putByte(this.prevByte);
      this.state = stateUpdateChar(this.state);
      this.nowPos64 += 1n;
    } else {
      if (this.decodeBit(this.repDecoders, this.state)) {
        len = 0;
        if (!this.decodeBit(this.repG0Decoders, this.state)) {
          if (!this.decodeBit(this.rep0LongDecoders, (this.state << 4) + posState)) {
            this.state = this.state < 7 ? 9 : 11;
            len = 1;
          }
        } else {
          if (!this.decodeBit(this.repG1Decoders, this.state)) {
            distance = this.rep1;
          } else {
            if (!this.decodeBit(this.repG2Decoders, this.state)) {
              distance = this.rep2;
            } else {
              distance = this.rep3;
              this.rep3 = this.rep2;
            }
            this.rep2 = this.rep1;
          }
          this.rep1 = this.rep0;
          this.rep0 = distance;
        }
        if (!len) {
          len = this.decodeLenWithRangeDecoder(this.repLenDecoder, posState) + 2;
          this.state = this.state < 7 ? 8 : 11;
        }
      } else {
        this.rep3 = this.rep2;
        this.rep2 = this.rep1;
        this.rep1 = this.rep0;
        len = 2 + this.decodeLenWithRangeDecoder(this.lenDecoder, posState);
        this.state = this.state < 7 ? 7 : 10;
        positionSlot = this.rangeBitTreeDecoder(this.posSlotDecoders[getLenToPosState(len)]);
        if (positionSlot >= 4) {
          numDirectBits = (positionSlot >> 1) - 1;
          this.rep0 = (2 | positionSlot & 1) << numDirectBits;
          if (positionSlot < 14) {
            this.rep0 += this.reverseDecode(this.posDecoders, this.rep0 - positionSlot - 1, numDirectBits);
          } else {
            this.rep0 += this.decodeDirectBits(numDirectBits - 4) << 4;
            this.rep0 += this.reverseDecodeAlignDecoder();
            if (this.rep0 < 0) {
              if (this.rep0 == -1) {
                return 1;
              }
              return -1;
            }
          }
        } else {
          this.rep0 = positionSlot;
        }
      }
      if (BigInt(this.rep0) >= this.nowPos64 || this.rep0 >= this.dictSizeCheck) {
        return -1;
      }
      this.copyBlock(len);
      this.nowPos64 += BigInt(len);
      this.prevByte = this.getByte(0);
    }
    return 0;
  }
  writeToOutput(buffer, data, offset, length) {
    buffer.writeBytes(data, offset, length);
  }
  flush() {
    const size = this.outWindow.pos - this.outWindow.streamPos;
    if (!size) {
      return;
    }
    if (this.outWindow.stream && this.outWindow.buffer) {
      this.outWindow.stream.writeBytes(this.outWindow.buffer, this.outWindow.streamPos, size);
    }
    if (this.outWindow.pos >= this.outWindow.windowSize) {
      this.outWindow.pos = 0;
    }
    this.outWindow.streamPos = this.outWindow.pos;
  }
  /**
   * Cleanup decoder resources
   */
  cleanup() {
    this.outWindow.stream = null;
    this.rangeDecoder.stream = null;
  }
};

// lzma1/lib/streams.js
var InputBuffer = class {
  buf;
  pos = 0;
  count;
  constructor(data) {
    this.buf = data;
    this.count = data.length;
  }
  readByte() {
    if (this.pos >= this.count)
      return -1;
    return this.buf[this.pos++] & 255;
  }
  readBytes(dest, off, len) {
    if (this.pos >= this.count)
      return -1;
    len = Math.min(len, this.count - this.pos);
    dest.set(this.buf.subarray(this.pos, this.pos + len), off);
    this.pos += len;
    return len;
  }
  get remaining() {
    return this.count - this.pos;
  }
};
var OutputBuffer = class {
  buf;
  count = 0;
  constructor(capacity = 32) {
    this.buf = new Uint8Array(capacity);
  }
  grow(requiredSize) {
    const newSize = Math.max(this.buf.length * 2, requiredSize);
    const newBuf = new Uint8Array(newSize);
    newBuf.set(this.buf.subarray(0, this.count));
    this.buf = newBuf;
  }
  writeByte(b) {
    if (this.count >= this.buf.length) {
      this.grow(this.count + 1);
    }
    this.buf[this.count++] = b;
  }
  writeBytes(src, off, len) {
    const requiredSize = this.count + len;
    if (requiredSize > this.buf.length) {
      this.grow(requiredSize);
    }
    this.buf.set(src.subarray(off, off + len), this.count);
    this.count += len;
  }
  write(buf) {
    this.writeBytes(buf, 0, buf.length);
  }
  toArray() {
    return this.buf.slice(0, this.count);
  }
};
export {
  Decoder,
  InputBuffer,
  OutputBuffer
};
