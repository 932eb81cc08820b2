/**
 * The forms of calls: who asks which model for whom. The core keeps them under handles; what is here finds the handle
 * again without passing a text over the border. Small on purpose: what does not come again soon is cheap to tell anew.
 */
import { failed } from "./errors";
import { NONE, native } from "./native";

type Text = string | undefined;

interface Form {
  readonly run: number;
  readonly provider: Text;
  readonly model: string;
  readonly tenant: Text;
  readonly user: Text;
  readonly feature: Text;
  readonly agent: Text;
  readonly session: Text;
  readonly handle: number;
}

/** A power of two. */
const PLACES = 1024;
const forms: (Form | undefined)[] = new Array(PLACES).fill(undefined);

/** The handle of a call's form. `again`: the core has forgotten the one that is known here. */
export function formOf(
  run: number,
  provider: Text,
  model: string,
  tenant: Text,
  user: Text,
  feature: Text,
  agent: Text,
  session: Text,
  again = false,
): number {
  const place = (tail(model) + 3 * tail(tenant) + 7 * tail(user) + 11 * tail(feature) + run) & (PLACES - 1);
  const known = forms[place];
  if (
    known !== undefined &&
    !again &&
    known.run === run &&
    known.model === model &&
    known.tenant === tenant &&
    known.user === user &&
    known.feature === feature &&
    known.agent === agent &&
    known.session === session &&
    known.provider === provider
  ) {
    return known.handle;
  }
  const handle = native.form(run, provider, model, tenant, user, feature, agent, session);
  if (handle === NONE) throw failed();
  forms[place] = { run, provider, model, tenant, user, feature, agent, session, handle };
  return handle;
}

/** Tells texts apart, well enough for a place: the comparison decides. */
function tail(text: Text): number {
  if (text === undefined || text.length === 0) return 0;
  const last = text.length - 1;
  return 31 * text.charCodeAt(last) + 17 * text.charCodeAt(last >> 1) + last;
}
