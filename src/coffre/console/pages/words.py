"""What an operation's refusal says to the person at the page, in their language.

Operations say it in English, with the names and numbers at hand. The usual refusals are said here
anew; any other keeps the operation's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coffre.console.api.problem import Problem
from coffre.console.i18n import N_, Language

_SAID: Final[Mapping[str, str]] = {
    "AccessDenied": N_("Your role does not allow it."),
    "NotFound": N_("There is no page at this address."),
    "NoSuchStore": N_("There is no such store, or you may not see it."),
    "NoSuchBucket": N_("There is no such bucket, or you may not see it."),
    "NoSuchUser": N_("There is no such storage account, or you may not see it."),
    "NoSuchKey": N_("There is no such access key, or it is gone for good."),
    "NoSuchTenant": N_("There is no such tenant, or you may not see it."),
    "NotSignedIn": N_("Sign in first."),
    "WrongPassword": N_("The name, the password or the code is not right."),
    "TooManyAttempts": N_("Too many attempts. Wait a while, then try again."),
    "TooManyRequests": N_("Too many requests at once. Wait a moment, then try again."),
    "BadCsrfToken": N_("The page was open for too long, or came from elsewhere. Load it again."),
    "BodyTooLarge": N_("That is more than is taken here."),
    "InvalidRequest": N_("The request cannot be read."),
    "InternalError": N_("It failed. The node's log says why, under the number below."),
    "Unavailable": N_("The node does not answer now. Try again in a moment."),
    "StoreAlreadyExists": N_("There is a store of this name already."),
    "BucketAlreadyExists": N_("There is a bucket of this name already."),
    "BucketAlreadyOwnedByYou": N_("There is a bucket of this name already."),
    "EntityAlreadyExists": N_("There is one of this name already."),
    "UserAlreadyExists": N_("There is an account of this name already."),
    "StoreNotEmpty": N_("The store has buckets: delete them first."),
    "BucketNotEmpty": N_("The bucket is not empty."),
    "UserHasBuckets": N_("The account owns buckets: say who gets them."),
    "TooManyBuckets": N_("The tenant has as many buckets as it may have."),
    "InvalidLabel": N_("1 to 128 printable characters."),
    "InvalidGrace": N_("30 days at most."),
    "KeyIsEnding": N_("This access key was replaced and is ending."),
    "LimitExceeded": N_("An account has two access keys at most."),
    "ObjectsLocked": N_("Object Lock holds some of its objects: they cannot be deleted yet."),
    "PolicyDenies": N_("The bucket's policy denies deletion: change it first."),
    "PublicPolicyBlocked": N_("The policy is public, and the bucket refuses such."),
    "NotConfirmed": N_("This is not its name."),
    "TooManyRules": N_("The bucket has as many rules as it may have."),
    "WeakPassword": N_("Too weak: 12 characters or more, and no words that are guessed first."),
    "InvalidName": N_("1 to 63 of a–z, 0–9 and “-”, with no “-” at either end."),
    "InvalidBucketName": N_(
        "3 to 63 of a–z, 0–9, “-” and “.”, with a letter or digit at both ends; no address."
    ),
    "MissingField": N_("Fill this in."),
    "PreconditionFailed": N_("Somebody changed it meanwhile. Look at it again."),
}


_DECIDED: Final[Mapping[str, str]] = {
    "the user is locked": N_("the account is locked"),
    "owner of the bucket": N_("it owns the bucket"),
    "user of the store": N_("it is an account of the store"),
    "role on the bucket": N_("its role on the bucket"),
    "root user of the account": N_("it is the store's initial user"),
    "nothing allows it": N_("nothing allows it"),
    "bucket policy": N_("the bucket's policy"),
    "network rule, or the store is locked": N_("the network rule, or the store is locked"),
}


def decided_by(source: str, language: Language) -> str:
    """What decided a request, for people."""
    known = _DECIDED.get(source)
    return source if known is None else language(known)


def said_of(problem: Problem, language: Language) -> str:
    """One sentence."""
    known = _SAID.get(problem.code)
    return problem.detail if known is None else language(known)
