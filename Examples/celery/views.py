"""A Django view that has a report made, and whose page shows how far it is."""

import time

import jwt
from django.conf import settings
from django.shortcuts import render
from reports import report


def report_page(request):
    user = str(request.user.pk)
    token = jwt.encode({"sub": user, "exp": time.time() + 3600}, settings.APUS_TOKEN_SECRET, algorithm="HS256")
    report.delay(pages=20, user=user)
    return render(request, "report.html", {"gateway": settings.APUS_GATEWAY, "user": user, "token": token})
