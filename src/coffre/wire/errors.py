"""Every S3 error that Coffre can answer: code, status and AWS's words, in one catalogue.

A raised `S3Error` is the only way from a bad request to its answer; the exit funnel turns it into
XML. Source of codes and messages: AWS "Error responses" (API reference), `ecs-and-s3-facts` where
the dialects differ.
"""

from __future__ import annotations

from typing import Final

from coffre.wire.escape import escape
from coffre.wire.select_errors import SELECT_ERRORS

# code -> (HTTP status, default message), in order of status, then code
_OF_S3: Final[dict[str, tuple[int, str]]] = {
    "PermanentRedirect": (
        301,
        "The bucket you are attempting to access must be addressed using the specified endpoint."
        " Please send all future requests to this endpoint.",
    ),
    "NotModified": (304, "Not Modified"),  # answered without a body
    "TemporaryRedirect": (
        307,
        "Please re-send this request to the specified temporary endpoint."
        " Continue to use the original request endpoint for future requests.",
    ),
    "AccessControlListNotSupported": (400, "The bucket does not allow ACLs"),
    "AmbiguousGrantByEmailAddress": (
        400,
        "The email address you provided is associated with more than one account.",
    ),
    "AnnotationLimitExceeded": (
        400,
        "The request would exceed the maximum number of annotations allowed per object.",
    ),
    "AnnotationNameTooLong": (400, "The annotation name exceeds 512 bytes."),
    "AuthorizationHeaderMalformed": (400, "The authorization header you provided is invalid."),
    "AuthorizationQueryParametersError": (400, "Error parsing the X-Amz-Credential parameter."),
    "BadDigest": (400, "The Content-MD5 you specified did not match what we received."),
    "BadRequest": (400, "Bad Request"),
    "BucketHasAccessPointsAttached": (
        400,
        "The bucket you are attempting to delete has access points attached.",
    ),
    "CredentialsNotSupported": (400, "This request does not support credentials."),
    "CustomDomainInUse": (400, "The specified custom domain is already in use."),
    "DeviceNotActiveError": (400, "The device is not currently active."),
    "EncryptionTypeNotAllowed": (400, "The encryption method specified is not supported."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "EntityTooSmall": (
        400,
        "Your proposed upload is smaller than the minimum allowed size",
    ),
    "ExpiredToken": (400, "The provided token has expired."),
    "IllegalLocationConstraintException": (
        400,
        "The unspecified location constraint is incompatible for the region specific endpoint"
        " this request was sent to.",
    ),
    "IllegalVersioningConfigurationException": (
        400,
        "The Versioning element must be specified",
    ),
    "IncompleteBody": (
        400,
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    ),
    "IncorrectEndpoint": (400, "The specified bucket exists in another Region."),
    "IncorrectNumberOfFilesInPostRequest": (
        400,
        "POST requires exactly one file upload per request.",
    ),
    "InlineDataTooLarge": (400, "Inline data exceeds the maximum allowed size."),
    "InvalidAction": (400, "The action or operation requested is not valid."),
    "InvalidAddressingHeader": (400, "You must specify the Anonymous role."),
    "InvalidAnnotationName": (400, "The annotation name you provided is invalid."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketAclWithObjectOwnership": (
        400,
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    ),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidBucketOwnerAWSAccountID": (
        400,
        "The value of the expected bucket owner parameter must be an AWS account ID.",
    ),
    "InvalidChunkSizeError": (
        400,
        "Only the last chunk is allowed to have a size less than 8192 bytes",
    ),
    "InvalidContentLength": (400, "invalid content-length"),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "InvalidEncryptionAlgorithmError": (
        400,
        "The encryption request you specified is not valid. The valid value is AES256.",
    ),
    "InvalidHostHeader": (400, "The host headers provided in the request used the incorrect style"),
    "InvalidHttpMethod": (400, "The request is using an incorrect HTTP method."),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not valid"),
    "InvalidPart": (
        400,
        "One or more of the specified parts could not be found. The part may not have been"
        " uploaded, or the specified entity tag may not match the part's entity tag.",
    ),
    "InvalidPartOrder": (
        400,
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ),
    "InvalidPolicyDocument": (
        400,
        "The content of the form does not meet the conditions specified in the policy document.",
    ),
    "InvalidPrefix": (400, "The annotation prefix you provided is invalid."),
    "InvalidRedirectLocation": (
        400,
        "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    ),
    "InvalidRegion": (400, "The specified Region is not valid."),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidRetentionPeriod": (400, "The retention period specified is invalid."),
    "InvalidS3DestinationBucket": (
        400,
        "The destination bucket of the inventory does not exist or is not the owner's.",
    ),
    "InvalidSessionException": (400, "The session is not valid."),
    "InvalidSignature": (400, "The request signature that the server calculated does not match."),
    "InvalidSOAPRequest": (400, "The SOAP request body is invalid."),
    "InvalidStorageClass": (400, "The storage class you specified is not valid"),
    "InvalidTag": (400, "The tag provided was not a valid tag."),
    "InvalidTargetBucketForLogging": (
        400,
        "The target bucket for logging does not exist, is not owned by you,"
        " or does not have the appropriate grants for the log-delivery group.",
    ),
    "InvalidTargetBucketState": (400, "The target bucket is not in a valid state for logging."),
    "InvalidToken": (400, "The provided token is malformed or otherwise invalid."),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "KMS.DisabledException": (400, "The request was rejected because the KMS key is disabled."),
    "KMS.InvalidKeyUsageException": (
        400,
        "The request was rejected because the KMS key cannot be used for this operation.",
    ),
    "KMS.KMSInvalidStateException": (
        400,
        "The request was rejected because the state of the KMS key is not valid for it.",
    ),
    "KMS.NotFoundException": (400, "The request was rejected because the KMS key was not found."),
    "MalformedACLError": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MalformedPolicy": (400, "Policy has invalid resource"),
    "MalformedPOSTRequest": (
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    ),
    "MalformedTrailerError": (
        400,
        "The request contained trailing data that was not well-formed"
        " or did not conform to our published schema.",
    ),
    "MalformedXML": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MaxMessageLengthExceeded": (400, "Your request was too big."),
    "MaxPostPreDataLengthExceededError": (
        400,
        "Your POST request fields preceding the upload file were too large.",
    ),
    "MetadataTooLarge": (
        400,
        "Your metadata headers exceed the maximum allowed metadata size",
    ),
    "MissingAttachment": (400, "A SOAP attachment was expected, but none were found."),
    "MissingAuthenticationToken": (400, "The request was not signed."),
    "MissingRequestBodyError": (400, "Request body is empty."),
    "MissingSecurityElement": (400, "The SOAP 1.1 request is missing a security element."),
    "MissingSecurityHeader": (400, "Your request was missing a required header"),
    "NoLoggingStatusForKey": (
        400,
        "There is no such thing as a logging status subresource for a key.",
    ),
    "ObjectLockConfigurationNotAllowed": (
        400,
        "Object Lock configuration is not allowed for this bucket.",
    ),
    "RequestHeaderSectionTooLarge": (
        400,
        "Your request header section exceeds the maximum allowed size.",
    ),
    "RequestIsNotMultiPartContent": (
        400,
        "Bucket POST must be of the enclosure-type multipart/form-data.",
    ),
    "RequestTimeout": (
        400,
        "Your socket connection to the server was not read from or written to"
        " within the timeout period. Idle connections will be closed.",
    ),
    "RequestTorrentOfBucketError": (
        400,
        "Requesting the torrent file of a bucket is not permitted.",
    ),
    "ResponseInterrupted": (400, "Returned if the response was interrupted."),
    "TokenCodeInvalidError": (400, "The serial number and/or token code you provided is invalid"),
    "TokenRefreshRequired": (400, "The provided token must be refreshed."),
    "TooManyBuckets": (400, "You have attempted to create more buckets than allowed"),
    "TooManyConfigurations": (
        400,
        "You are attempting to create a new configuration but have already reached the"
        " 1,000-configuration limit.",
    ),
    "UnexpectedContent": (400, "This request does not support content"),
    "UnresolvableGrantByEmailAddress": (
        400,
        "The e-mail address you provided does not match any account on record.",
    ),
    "UnsupportedArgument": (400, "The request contained an unsupported argument."),
    "UnsupportedSignature": (
        400,
        "The provided request is signed with an unsupported STS Token version"
        " or the signature version is not supported.",
    ),
    "UserKeyMustBeSpecified": (
        400,
        "The bucket POST must contain the specified field name."
        " If it is specified, please check the order of the fields.",
    ),
    "XAmzContentChecksumMismatch": (
        400,
        "The provided 'x-amz-checksum' header does not match what was computed.",
    ),
    "XAmzContentSHA256Mismatch": (
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    "Unauthorized": (401, "You are not authorized to perform this operation."),
    "AccessDenied": (403, "Access Denied"),
    "QuotaExceeded": (403, "The quota of the store or bucket is exceeded."),
    "AccessForbidden": (403, "CORSResponse: CORS is not enabled for this bucket."),
    "AccountProblem": (
        403,
        "There is a problem with your account that prevents the operation from completing"
        " successfully.",
    ),
    "AllAccessDisabled": (403, "All access to this object has been disabled"),
    "CrossLocationLoggingProhibited": (403, "Cross-location logging not allowed."),
    "EmptyBucketInProgress": (403, "The bucket is being emptied."),
    "InvalidAccessKeyId": (
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    "InvalidObjectState": (403, "The operation is not valid for the object's storage class"),
    "InvalidPayer": (403, "All access to this object has been disabled."),
    "InvalidSecurity": (403, "The provided security credentials are not valid."),
    "NotSignedUp": (403, "Your account is not signed up for this service."),
    "ObjectAlreadyInActiveTierError": (
        403,
        "This object is not archived: it can be read as it is.",
    ),
    "RequestExpired": (403, "Request has expired"),
    "RequestTimeTooSkewed": (
        403,
        "The difference between the request time and the current time is too large.",
    ),
    "SignatureDoesNotMatch": (
        403,
        "The request signature we calculated does not match the signature you provided."
        " Check your key and signing method.",
    ),
    "MetadataConfigurationNotFound": (404, "The metadata configuration does not exist."),
    "NoSuchAccelerateConfiguration": (404, "The accelerate configuration does not exist"),
    "NoSuchAnnotation": (404, "The specified annotation does not exist."),
    "NoSuchAsyncRequest": (404, "The specified async request does not exist."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist"),
    "NoSuchConfiguration": (404, "The specified configuration does not exist."),
    "NoSuchCORSConfiguration": (404, "The CORS configuration does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not exist"),
    "NoSuchObjectLockConfiguration": (
        404,
        "The specified object does not have a ObjectLock configuration",
    ),
    "NoSuchPublicAccessBlockConfiguration": (
        404,
        "The public access block configuration was not found",
    ),
    "NoSuchResource": (404, "The specified resource doesn't exist."),
    "NoSuchTagSet": (404, "The TagSet does not exist"),
    "NoSuchUpload": (
        404,
        "The specified upload does not exist. The upload ID may be invalid,"
        " or the upload may have been aborted or completed.",
    ),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NoSuchWebsiteConfiguration": (
        404,
        "The specified bucket does not have a website configuration",
    ),
    "ObjectLockConfigurationNotFoundError": (
        404,
        "Object Lock configuration does not exist for this bucket",
    ),
    "OwnershipControlsNotFoundError": (404, "The bucket ownership controls were not found"),
    "ReplicationConfigurationNotFoundError": (404, "The replication configuration was not found"),
    "ServerSideEncryptionConfigurationNotFoundError": (
        404,
        "The server side encryption configuration was not found",
    ),
    "UnsupportedOperation": (404, "The specified operation is not supported."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "BucketAlreadyExists": (
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users"
        " of the system. Please select a different name and try again.",
    ),
    "BucketAlreadyOwnedByYou": (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "ConditionalRequestConflict": (
        409,
        "The conditional request cannot succeed due to a conflicting operation against this"
        " resource.",
    ),
    "DeleteConflict": (409, "The request was rejected because it attempted to delete a resource"),
    "InvalidBucketState": (
        409,
        "The request is not valid with the current state of the bucket.",
    ),
    "ObjectUnderRetention": (409, "The object is under retention."),
    "OperationAborted": (
        409,
        "A conflicting conditional operation is currently in progress against this resource."
        " Please try again.",
    ),
    "RestoreAlreadyInProgress": (409, "Object restore is already in progress"),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "UnsupportedMediaType": (
        415,
        "The annotation payload is not valid UTF-8 encoded text.",
    ),
    "InvalidPartNumber": (416, "The requested partnumber is not satisfiable"),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "NotImplemented": (
        501,
        "A header you provided implies functionality that is not implemented",
    ),
    "ServiceUnavailable": (503, "Service is unable to handle request."),
    "SlowDown": (503, "Please reduce your request rate."),
    "InsufficientStorage": (507, "There is not enough free space to store the request's data."),
}


CATALOGUE: Final = dict(
    sorted(
        (*_OF_S3.items(), *SELECT_ERRORS.items()), key=lambda one: (one[1][0], one[0].casefold())
    )
)


class S3Error(Exception):
    """An answer that is an error. `fields` become extra elements of the XML body, in order.

    `headers` are added to the response (for example `x-amz-delete-marker`).
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        **fields: str,
    ) -> None:
        self.status, default = CATALOGUE[code]
        self.code = code
        self.message = default if message is None else message
        self.fields = fields
        self.headers = headers
        super().__init__(f"{code}: {self.message}")


def error_xml(error: S3Error, resource: str, request_id: str, host_id: str) -> bytes:
    """The body of an error answer: Code, Message, the error's own fields, then what was asked.

    Any text is accepted (a stranger chooses `resource` and some fields); nothing goes out raw.
    """
    pairs = [("Code", error.code), ("Message", error.message), *error.fields.items()]
    if resource:
        pairs.append(("Resource", resource))
    pairs += [("RequestId", request_id), ("HostId", host_id)]
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in pairs)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
