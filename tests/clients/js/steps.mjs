// What a program with the AWS SDK for JavaScript does, step by step. Reads ENDPOINT, REGION and
// BUCKET and the keys from the environment; prints one JSON line for each step: {step, error}.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  paginateListObjectsV2,
  waitUntilObjectExists,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const MIB = 1024 * 1024;
const { ENDPOINT: endpoint, REGION: region, BUCKET: Bucket } = process.env;
const s3 = new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1 });

async function bodyOf(Key, more = {}) {
  const got = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await got.Body.transformToByteArray());
}

async function listed(more = {}) {
  const keys = [];
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, ...more })) {
    keys.push(...(page.Contents ?? []).map((item) => item.Key));
  }
  return keys;
}

const steps = {
  "a bucket is made and listed": async () => {
    await s3.send(new CreateBucketCommand({ Bucket }));
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    assert(Buckets.some((bucket) => bucket.Name === Bucket));
  },

  "an object is put and got": async () => {
    const Metadata = { artist: "me" };
    await s3.send(new PutObjectCommand({ Bucket, Key: "dir/é b", Body: "hello", Metadata }));
    await waitUntilObjectExists({ client: s3, maxWaitTime: 10 }, { Bucket, Key: "dir/é b" });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "dir/é b" }));
    assert.deepEqual(head.Metadata, Metadata);
    assert.equal(head.ServerSideEncryption, "AES256");
    assert.equal((await bodyOf("dir/é b")).toString(), "hello");
    assert.equal((await bodyOf("dir/é b", { Range: "bytes=1-2" })).toString(), "el");
  },

  "each checksum is kept and verified": async () => {
    for (const name of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
      await s3.send(
        new PutObjectCommand({ Bucket, Key: name, Body: name, ChecksumAlgorithm: name }),
      );
      const wanted = { Bucket, Key: name, ChecksumMode: "ENABLED" };
      const got = await s3.send(new GetObjectCommand(wanted));
      assert(got[`Checksum${name}`], name);
      assert.equal(await got.Body.transformToString(), name);
    }
  },

  "a stream goes up with its checksum in a trailer": async () => {
    const body = randomBytes(300_000);
    const Body = Readable.from([body.subarray(0, 100_000), body.subarray(100_000)]);
    await s3.send(
      new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: body.length }),
    );
    assert(body.equals(await bodyOf("stream")));
  },

  "an object is copied": async () => {
    const CopySource = encodeURI(`${Bucket}/dir/é b`);
    const { CopyObjectResult } = await s3.send(
      new CopyObjectCommand({ Bucket, Key: "copy", CopySource }),
    );
    assert.equal(CopyObjectResult.ETag, '"5d41402abc4b2a76b9719d911017c592"');
    assert.equal((await bodyOf("copy")).toString(), "hello");
  },

  "a stream of unknown length goes up in parts": async () => {
    const body = randomBytes(12 * MIB);
    const Body = Readable.from(
      Array.from({ length: 12 }, (_, i) => body.subarray(i * MIB, (i + 1) * MIB)),
    );
    const upload = new Upload({
      client: s3,
      params: { Bucket, Key: "large", Body },
      partSize: 5 * MIB,
      queueSize: 2,
    });
    const done = await upload.done();
    assert.match(done.ETag, /-3"$/);
    const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
    assert.equal(hash(await bodyOf("large")), hash(body));
    const told = await s3.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key: "large",
        ObjectAttributes: ["ObjectParts", "ObjectSize"],
      }),
    );
    assert.equal(told.ObjectSize, 12 * MIB);
    assert.equal(told.ObjectParts.TotalPartsCount, 3);
  },

  "an aborted upload is gone": async () => {
    const Key = "aborted";
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: "x" }));
    const uploads = async () =>
      (await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.length ?? 0;
    assert.equal(await uploads(), 1);
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    assert.equal(await uploads(), 0);
  },

  "presigned URLs upload and download": async () => {
    const what = { Bucket, Key: "signed/a b" };
    // The SDK signs the checksum of an empty body into this URL, which S3 does not look at.
    const put = await getSignedUrl(s3, new PutObjectCommand(what), { expiresIn: 60 });
    assert((await fetch(put, { method: "PUT", body: "shared" })).ok);
    const get = await getSignedUrl(s3, new GetObjectCommand(what), { expiresIn: 60 });
    assert.equal(await (await fetch(get)).text(), "shared");
  },

  "a write obeys its condition": async () => {
    const once = { Bucket, Key: "copy", Body: "again", IfNoneMatch: "*" };
    await assert.rejects(s3.send(new PutObjectCommand(once)), { name: "PreconditionFailed" });
  },

  "what is missing is told by name": async () => {
    await assert.rejects(bodyOf("none"), { name: "NoSuchKey" });
  },

  "a listing comes page by page": async () => {
    assert.deepEqual(await listed({ Prefix: "CRC" }), ["CRC32", "CRC32C", "CRC64NVME"]);
    assert.deepEqual(await listed({ Delimiter: "/", StartAfter: "SHA256" }), [
      "copy",
      "large",
      "stream",
    ]);
  },

  "everything is deleted": async () => {
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "copy" }));
    const Objects = (await listed()).map((Key) => ({ Key }));
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.equal(Deleted.length, Objects.length);
    assert.deepEqual(await listed(), []);
    await s3.send(new DeleteBucketCommand({ Bucket }));
  },
};

for (const [step, act] of Object.entries(steps)) {
  let error = null;
  try {
    await act();
  } catch (failure) {
    error = failure.stack ?? String(failure);
  }
  console.log(JSON.stringify({ step, error }));
}
