// The Amazon S3 Encryption Client for Java: each step is a test in test_encryption_clients.py.

import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.encryption.s3.S3EncryptionClient;

public class Encryption {
    static final int MIB = 1 << 20;
    static final String BUCKET = System.getenv("BUCKET");

    public static void main(String[] arguments) {
        URI endpoint = URI.create(System.getenv("ENDPOINT"));
        Region region = Region.of(System.getenv("REGION"));
        S3Client plain = S3Client.builder().endpointOverride(endpoint).region(region).forcePathStyle(true).build();
        S3AsyncClient async =
                S3AsyncClient.builder().endpointOverride(endpoint).region(region).forcePathStyle(true).build();
        byte[] key = bytes(32, 1);
        S3Client sealed = S3EncryptionClient.builder()
                .wrappedClient(plain)
                .wrappedAsyncClient(async)
                .aesKey(new SecretKeySpec(key, "AES"))
                .enableLegacyUnauthenticatedModes(true)
                .enableMultipartPutObject(true)
                .build();
        plain.createBucket(one -> one.bucket(BUCKET));

        step("an object and its envelope", () -> {
            byte[] body = bytes(70_001, 2);
            sealed.putObject(
                    one -> one.bucket(BUCKET).key("small").metadata(Map.of("artist", "me")),
                    RequestBody.fromBytes(body));
            same(body, read(sealed, "small", null));
            var kept = plain.getObjectAsBytes(one -> one.bucket(BUCKET).key("small"));
            equal(body.length + 16, kept.asByteArray().length);
            var envelope = kept.response().metadata();
            equal("me", envelope.get("artist"));
            equal("AES/GCM/NoPadding", envelope.get("x-amz-cek-alg"));
            equal("AES/GCM", envelope.get("x-amz-wrap-alg"));
            for (String name : List.of("x-amz-iv", "x-amz-key-v2", "x-amz-matdesc")) {
                equal(true, envelope.containsKey(name));
            }
        });
        step("an empty object", () -> {
            sealed.putObject(one -> one.bucket(BUCKET).key("empty"), RequestBody.empty());
            equal(0, read(sealed, "empty", null).length);
        });
        step("ranges", () -> {
            byte[] body = read(sealed, "small", null);
            same(Arrays.copyOfRange(body, 1_000, 2_001), read(sealed, "small", "bytes=1000-2000"));
            same(Arrays.copyOfRange(body, 70_000, 70_001), read(sealed, "small", "bytes=70000-70000"));
        });
        step("a large object in parts", () -> {
            byte[] body = bytes(17 * MIB + 5, 3);
            sealed.putObject(one -> one.bucket(BUCKET).key("large"), RequestBody.fromBytes(body));
            same(body, read(sealed, "large", null));
            int edge = 8 * MIB;
            same(
                    Arrays.copyOfRange(body, edge - 9, edge + 9),
                    read(sealed, "large", "bytes=" + (edge - 9) + "-" + (edge + 8)));
        });
        step("parts by hand", () -> {
            byte[] body = bytes(11 * MIB, 4);
            String upload = sealed.createMultipartUpload(one -> one.bucket(BUCKET).key("parts")).uploadId();
            List<CompletedPart> parts = new ArrayList<>();
            for (int at = 0; at < body.length; at += 5 * MIB) {
                byte[] part = Arrays.copyOfRange(body, at, Math.min(at + 5 * MIB, body.length));
                int number = parts.size() + 1;
                boolean last = at + part.length == body.length;
                var done = sealed.uploadPart(
                        one -> one.bucket(BUCKET)
                                .key("parts")
                                .uploadId(upload)
                                .partNumber(number)
                                .sdkPartType(last ? software.amazon.awssdk.services.s3.model.SdkPartType.LAST
                                        : software.amazon.awssdk.services.s3.model.SdkPartType.DEFAULT),
                        RequestBody.fromBytes(part));
                parts.add(CompletedPart.builder().partNumber(number).eTag(done.eTag()).build());
            }
            sealed.completeMultipartUpload(one -> one.bucket(BUCKET)
                    .key("parts")
                    .uploadId(upload)
                    .multipartUpload(all -> all.parts(parts)));
            same(body, read(sealed, "parts", null));
        });
        step("a copy keeps its envelope", () -> {
            plain.copyObject(one -> one.sourceBucket(BUCKET)
                    .sourceKey("small")
                    .destinationBucket(BUCKET)
                    .destinationKey("copy"));
            same(read(sealed, "small", null), read(sealed, "copy", null));
        });
        System.exit(0);
    }

    interface Step {
        void run() throws Exception;
    }

    static void step(String name, Step what) {
        String error = "";
        try {
            what.run();
        } catch (Throwable failure) {
            error = String.valueOf(failure).replaceAll("\\s+", " ");
            failure.printStackTrace();
        }
        System.out.println(name + "\t" + error);
    }

    static byte[] read(S3Client s3, String key, String range) {
        return s3.getObjectAsBytes(one -> one.bucket(BUCKET).key(key).range(range)).asByteArray();
    }

    static byte[] bytes(int size, int seed) {
        byte[] made = new byte[size];
        new Random(seed).nextBytes(made);
        return made;
    }

    static void same(byte[] wanted, byte[] found) {
        equal(-1, Arrays.mismatch(wanted, found));
    }

    static void equal(Object wanted, Object found) {
        if (!wanted.equals(found)) {
            throw new AssertionError("expected " + wanted + ", found " + found);
        }
    }
}
