"""Knows how operators edit call flows: a draft of steps and branches, checked, saved, and published."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from callflows.admin import flow_page
from callflows.admin.ours import OurAdmin
from callflows.admin.outcomes import suggestions
from callflows.admin.readonly import PartOfPage
from callflows.admin.rows import OUTCOMES, STEP_NAMES, BranchForm, OrderedFormSet
from callflows.admin.show import moment, phone
from callflows.admin.step_fields import OWN_NUMBERS
from callflows.admin.step_form import StepFormSet, step_form
from callflows.admin.usage import KeepsUsed
from callflows.admin.versions import KeepsVersions
from callflows.models import Branch, CallFlow, PhoneNumber, Step
from callflows.ncco.problems import InvalidNcco
from callflows.sockets.registry import outcomes


class FlowForm(forms.ModelForm[CallFlow]):
    """The flow itself. ``edit`` counts the saves of the draft: of two people saving one draft, the second is told."""

    edit = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = CallFlow
        fields = ("name", "description", "joinable", "prefixes")
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["edit"] = self.instance.edit

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk:
            now = CallFlow.objects.select_for_update().get(pk=self.instance.pk)
            if cleaned.get("edit") != now.edit:
                raise ValidationError(_conflict(now))
            self.instance.edit = now.edit + 1
        return cleaned


def _conflict(flow: CallFlow) -> SafeString:
    """Say who saved the draft meanwhile, and what to do."""
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(CallFlow), object_id=str(flow.pk))
    last = entries.select_related("user").first()
    who = format_html("{}, {}", last.user.get_username(), moment(last.action_time)) if last else "somebody else"
    page = reverse("admin:callflows_callflow_change", args=(flow.pk,))
    return format_html(
        "This draft was saved by someone else while you edited it ({}). Nothing was overwritten, and what you typed "
        'is still here: open <a href="{}" target="_blank">the draft as it is now</a> and put your changes into that.',
        who,
        page,
    )


class StepInline(PartOfPage, admin.StackedInline[Step, CallFlow]):
    model = Step
    fk_name = "flow"
    formset = StepFormSet
    fields = ("name", "action", "then", "to_step", "to_flow", "position")
    extra = 0
    template = "admin/callflows/callflow/steps.html"

    class Media:
        js = (Script("callflows/flow.js", type="module"),)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **{"form": step_form(), **kwargs})


class BranchInline(PartOfPage, admin.TabularInline[Branch, CallFlow]):
    model = Branch
    fk_name = "flow"
    form = BranchForm
    formset = OrderedFormSet
    fields = ("step", "outcome", "at_most", "to_step", "to_flow", "position")
    extra = 0
    template = "admin/callflows/callflow/branches.html"


@admin.register(CallFlow)
class CallFlowAdmin(KeepsUsed, KeepsVersions, OurAdmin[CallFlow]):
    form = FlowForm
    fields = ("name", "description", "joinable", "prefixes")
    list_display = ("name", "shown_state", "shown_numbers", "shown_published")
    list_select_related = ("live", "live__published_by")
    search_fields = ("name", "description", "steps__name")
    inlines = (StepInline, BranchInline)
    actions = ("publish",)
    empty_text = "Call flows will stand here: what callers hear, press and reach, step by step."

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallFlow]:
        return super().get_queryset(request).prefetch_related("steps", "branches", "numbers")

    @admin.display(description="state")
    def shown_state(self, flow: CallFlow) -> SafeString:
        return flow_page.state(flow)

    @admin.display(description="numbers")
    def shown_numbers(self, flow: CallFlow) -> SafeString | str:
        return format_html_join(", ", "{}", ((phone(number.digits),) for number in flow.numbers.all())) or "–"

    @admin.display(description="published", ordering="live__published")
    def shown_published(self, flow: CallFlow) -> SafeString | str:
        return moment(flow.live.published if flow.live else None)

    @admin.action(description="Publish the selected call flows", permissions=["change"])
    def publish(self, request: HttpRequest, flows: QuerySet[CallFlow]) -> None:
        for flow in flows:
            self.publish_one(request, flow)

    def publish_one(self, request: HttpRequest, flow: CallFlow) -> None:
        """Publish a draft and say which version went live, or list its problems."""
        page = reverse("admin:callflows_callflow_change", args=(flow.pk,))
        link = format_html('<a href="{}">{}</a>', page, flow)
        if flow.live and not flow.unpublished:
            self.message_user(request, format_html("{}: nothing to publish, {} is live.", link, flow.live))
            return
        try:
            version = flow.publish(outcomes(), request.user if request.user.is_authenticated else None)
        except InvalidNcco:
            errors = [flow_page.sentence(each) for each in flow_page.problems(flow) if each.severity == "error"]
            text = format_html("{} was not published: {}", link, "; ".join(errors))
            self.message_user(request, text, messages.ERROR)
        else:
            self.log_change(request, flow, f"Published {version}.")
            self.message_user(request, format_html("{}: {} is live.", link, version), messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: CallFlow, form: Any, change: bool) -> None:
        # Not the version that is live: somebody may be publishing at the same moment.
        obj.save(update_fields=["name", "description", "joinable", "prefixes", "edit"] if change else None)

    def response_add(self, request: HttpRequest, obj: CallFlow, post_url_continue: str | None = None) -> HttpResponse:
        return self._published(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: CallFlow) -> HttpResponse:
        return self._published(request, obj) or super().response_change(request, obj)

    def _published(self, request: HttpRequest, obj: CallFlow) -> HttpResponse | None:
        """Publish what was just saved, when that button was pressed."""
        if "_publish" not in request.POST or not self.has_change_permission(request, obj):
            return None
        fresh = CallFlow.objects.select_related("live").get(pk=obj.pk)
        self.publish_one(request, fresh)
        return HttpResponseRedirect(reverse("admin:callflows_callflow_change", args=(obj.pk,)))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Model | None = None,
    ) -> HttpResponse:
        flow = CallFlow.objects.select_related("live").get(pk=obj.pk) if obj else None
        offered = suggestions()
        own = PhoneNumber.objects.values_list("digits", flat=True)
        lists = {STEP_NAMES: flow_page.step_names(flow), OUTCOMES: offered["any"], OWN_NUMBERS: own}
        context |= {"lists": lists, "outcomes": offered, **(flow_page.about(flow) if flow else {})}
        return super().render_change_form(request, context, add, change, form_url, obj)  # type: ignore[arg-type]  # stub
